"""Needles in the haystack and questions on one big document, over lengths that the product's own runtime would take days for.

DATA=folder python3 needles.py MODEL_FOLDER [--tokens 1000000] [--phrasings rotate|all] [--parts big,needles,chained,long] [--cells 24]

DATA holds haystack/*.txt (or haystack/sentences.jsonl, as `npm run bench -- reader --sentences FILE` writes it) and dev/*.jsonl.xz. The model
is the quantized one of quantized.py, the scan that of lockstep.py. `cells.jsonl` in OUT gets a sample of the grid with its outcome:
`npm run bench -- reader --cells FILE` repeats it on the product's own runtime.
"""
import argparse, glob, json, os, time
import torch
import build, synth
from answers import right
from keep import Sentences
from lockstep import CACHED, Scorer, Texts
from product import MODES, TABLE, Model, answered, by_words, cut, say, second, whole_words
from quantized import dev

DEPTHS = 11
NEEDLES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../bench/reader/needles.json")


def haystack(root):
    path = f"{root}/haystack/sentences.jsonl"
    if os.path.exists(path):
        return [json.loads(line) for line in build.read(path).splitlines()]
    text = "\n\n".join(build.read(p) for p in sorted(glob.glob(f"{root}/haystack/*.txt")))
    return [build.ends_ws(c) for s in synth.sentences(text) if s.strip() for c in cut(s)]


class Cell:
    """One needle, or several, at one depth, and one question."""

    def __init__(s, kind, entry, number, phrasing, depth):
        s.kind, s.number, s.phrasing, s.depth = kind, number, phrasing, depth
        s.question, s.answers = entry["questions"][phrasing], entry["answers"]
        buried = entry["needles"] + entry.get("others", [])
        s.inserts = [((depth + i / len(buried)) % 1 if i else depth, needle_sentences(n)) for i, n in enumerate(buried)]
        holds = lambda x: any(a.lower() in x.lower() for a in s.answers)
        parts = [needle_sentences(n) for n in entry["needles"]]
        s.gold = [[x for x in p if holds(x)] or p for p in parts]   # of each needle one of these must be kept

    def row(s, hay, number):
        """Sentence numbers of the whole text."""
        row = list(hay)
        for share, sentences in sorted(s.inserts, key=lambda x: -x[0]):
            at = int(len(hay) * share + 1e-9)
            row[at:at] = [number[x] for x in sentences]
        return row


def needle_sentences(text):
    return [build.ends_ws(x) if x[-1:].isspace() else x + " " for x in synth.sentences(text)]


def repeated(numbers, tokens, total):
    out, n = [], 0
    while n < total:
        for k in numbers:
            out.append(k)
            n += tokens[k]
            if n >= total:
                break
    return out


def run_cells(model, hay, cells, total, modes, name, picked):
    numbers = {}
    for x in hay + [x for c in cells for _, p in c.inserts for x in p]:
        numbers.setdefault(x, len(numbers))
    asked = list(dict.fromkeys(c.question for c in cells))
    table = Sentences(list(numbers), model.tok, asked)
    plain = Sentences(list(numbers), model.tok, asked, whole_words)
    ids = [model.encode(q) for q in asked]
    scorer = Scorer(model.scan, table, ids, model.longest)
    base = repeated([numbers[x] for x in hay], table.tokens.tolist(), total)
    say(f"{name}: {len(cells)} cells, {len(base)} sentences of haystack, {total} tokens")
    group = len(cells) if total <= 2_000_000 else 1
    for way in ["BM25", *modes]:
        size = min(group, 5 * DEPTHS) if way == "tournament" else group
        began, outcome = time.time(), []
        for i in range(0, len(cells), size):
            part = cells[i:i + size]
            texts = Texts([c.row(base, numbers) for c in part], [asked.index(c.question) for c in part])
            given = [(None, 0, -1)] * len(part)
            if way == "BM25":
                picks = by_words(table, texts, model.settings["cache_tokens"], plain)
            else:
                picks, given = answered(model, scorer, texts.rows, *MODES[way](scorer, texts, model.settings), texts.question, ids)
                picks, given = second(model, table, texts, picks, given, [c.question for c in part], way)
            kept = [{table.texts[k].strip() for k in r if k >= 0} for r in picks.tolist()]
            hits = [all(any(x.strip() in k for x in g) for g in c.gold) for c, k in zip(part, kept)]
            outcome += [(c, h, g[0]) for c, h, g in zip(part, hits, given)]
            if way != "BM25": say("  confidence, right and wrong:", *[[round(g[1], 2) for c, g in zip(part, given) if right(g[0], c.answers) == r][:40] for r in (True, False)])
        took = time.time() - began
        for kind in dict.fromkeys(c.kind for c in cells):
            tell(f"{name}, {kind}, {way}", [o for o in outcome if o[0].kind == kind])
        say(f"  {way}: {took:.1f} s", keep=True)
        if way != "BM25":
            for c, h, g in outcome:
                picked.append({"set": c.kind, "needle": c.number, "question": c.phrasing, "depth": c.depth, "tokens": total, "mode": way,
                               "kept": h, "answered": g is not None and right(g, c.answers), "answer": g})


def tell(name, outcome):
    mean = lambda xs: f"{sum(xs) / max(1, len(xs)):.3f}"
    kept = [h for _, h, _ in outcome]
    done = [right(g, c.answers) for c, _, g in outcome if g is not None]
    say(f"{name}: kept {sum(kept)}/{len(kept)}", *([f"answered {sum(done)}/{len(done)}"] if done else []), keep=True)
    say("  by depth   kept", *[mean([h for c, h, _ in outcome if c.depth == d]) for d in sorted({c.depth for c, _, _ in outcome})])
    if done:
        say("             right", *[mean([right(g, c.answers) for c, _, g in outcome if c.depth == d]) for d in sorted({c.depth for c, _, _ in outcome})])
    for group, of in (("phrasing", lambda c: c.phrasing), ("needle", lambda c: c.number)):
        values = sorted({of(c) for c, _, _ in outcome})
        if len(values) > 1:
            say(f"  by {group} kept", *[mean([h for c, h, _ in outcome if of(c) == v]) for v in values])
    for c, h, g in outcome:
        if g is not None and h and not right(g, c.answers):
            say("    kept, not right:", c.question, "|", c.answers[0], "|", g)
            break


def big_document(model, root, count, modes):
    rows = [json.loads(x) for x in build.read(glob.glob(f"{root}/dev/squad_v1.1.dev.jsonl*")[0]).splitlines()]
    parts = {c: [build.ends_ws(y) for x in synth.sentences(c) for y in cut(x)] for c in dict.fromkeys(r["context"] for r in rows)}
    rows = [r for r in rows if r["answers"] and r["answer_start"] is not None]
    rows = [rows[i * len(rows) // count] for i in range(count)] if len(rows) > count else rows
    numbers = {}
    for p in parts.values():
        for x in p:
            numbers.setdefault(x, len(numbers))
    table = Sentences(list(numbers), model.tok, [r["question"] for r in rows])
    ids = [model.encode(r["question"]) for r in rows]
    whole = [numbers[x] for p in parts.values() for x in p]
    gold = []
    for r in rows:
        at = 0
        for x in parts[r["context"]]:
            at += len(x)
            if r["answer_start"] < at:
                break
        gold.append(x.strip())
    plain = Sentences(list(numbers), model.tok, [r["question"] for r in rows], whole_words)
    scorer = Scorer(model.scan, table, ids, model.longest)
    say(f"one document: {sum(table.tokens[k].item() for k in whole)} tokens, {len(whole)} sentences, {len(rows)} questions, 300 tokens kept")
    holds = lambda lists, first: [any(table.texts[k].strip() == g for k in r if k >= 0) for r, g in zip(lists.tolist(), gold[first:])]
    for way in ["BM25", *modes]:
        began, given, hit = time.time(), [], {"kept": [], "cache": [], "evidence": []}
        size = 50 if way != "sequential" else len(rows)
        for i in range(0, len(rows), size):
            texts = Texts([whole] * len(rows[i:i + size]), list(range(i, min(len(rows), i + size))))
            if way == "BM25":
                hit["kept"] += holds(by_words(table, texts, 300, plain), i)
                continue
            evidence, counts = MODES[way](scorer, texts, model.settings)
            cache, answer = answered(model, scorer, texts.rows, evidence, counts, texts.question, ids)
            hit["evidence"] += holds(evidence, i); hit["kept"] += holds(cache, i)
            if way == "sequential": hit["cache"] += holds(evidence[:, :CACHED], i)
            given += [g[0] for g in answer]
        done = [right(g, r["answers"]) for g, r in zip(given, rows)]
        say(f"one document, {way}: gold sentence", *[f"{k} {sum(h)}/{len(h)} {sum(h) / len(h):.3f}" for k, h in hit.items() if h],
            *([f"answered {sum(done) / len(done):.3f}"] if done else []), f"{time.time() - began:.1f} s", keep=True)


@torch.no_grad()
def main():
    a = argparse.ArgumentParser()
    a.add_argument("folder")
    a.add_argument("--tokens", type=int, default=1_000_000)
    a.add_argument("--phrasings", default="rotate")
    a.add_argument("--needles", type=int, default=50)
    a.add_argument("--questions", type=int, default=500)
    a.add_argument("--modes", default="sequential,tournament")
    a.add_argument("--parts", default="big,chained,needles,long")
    a.add_argument("--cells", type=int, default=24)
    a = a.parse_args()
    root, began, picked = os.environ["DATA"], time.time(), []
    modes, parts = a.modes.split(","), a.parts.split(",")
    model, hay, needles = Model(a.folder), haystack(root), json.load(open(NEEDLES))
    say(f"{dev}, {len(hay)} sentences of haystack, {time.time() - began:.1f} s to load")
    depths = [i / (DEPTHS - 1) for i in range(DEPTHS)]
    known = [Cell(n["name"], n, i, 0, d) for i, n in enumerate(needles["known"]) for d in depths]
    natural = []
    for i, n in enumerate(needles["natural"][:a.needles]):
        for k, d in enumerate(depths):
            natural += [Cell("natural", n, i, p, d) for p in (range(5) if a.phrasings == "all" else [(i + k) % 5])]
    chained = [Cell("chained", n, i, 0, d) for i, n in enumerate(needles["chained"]) for d in depths]
    if "big" in parts:
        big_document(model, root, a.questions, modes)
    if "chained" in parts:
        run_cells(model, hay, chained, min(a.tokens, 100_000), modes, "100K" if a.tokens >= 100_000 else str(a.tokens), picked)
    if "needles" in parts:
        run_cells(model, hay, known + natural, a.tokens, modes, f"{a.tokens}", picked)
    if "long" in parts:
        run_cells(model, hay, [Cell("San Francisco", needles["known"][0], 0, 0, 0.5)], 10 * a.tokens, ["tournament"], f"{10 * a.tokens}", picked)
    out = os.environ.get("OUT", ".")
    chosen = [picked[i * len(picked) // a.cells] for i in range(a.cells)] if len(picked) > a.cells else picked
    with open(f"{out}/cells.jsonl", "w") as f:
        f.writelines(json.dumps(c) + "\n" for c in chosen)
    say(f"\n{a.folder}, {time.time() - began:.0f} s in all")
    say("\n".join(TABLE))


if __name__ == "__main__":
    main()
