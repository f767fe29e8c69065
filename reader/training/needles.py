"""Needles in the haystack and questions on one big document, over lengths that the product's own runtime would take days for.

DATA=folder python3 needles.py MODEL_FOLDER [--tokens 1000000] [--phrasings rotate|all] [--parts big,needles,chained,long] [--cells 24]

DATA holds haystack/*.txt (or haystack/sentences.jsonl, as `npm run bench -- reader --sentences FILE` writes it) and dev/*.jsonl.xz. The model
is the quantized one of quantized.py, the scan that of lockstep.py. `cells.jsonl` in OUT gets a sample of the grid with its outcome:
`npm run bench -- reader --cells FILE` repeats it on the product's own runtime.
"""
import argparse, glob, json, os, time
import torch
from tokenizers import Tokenizer
import build, synth
from answers import answers, right, shortlist, standings
from keep import RUN, Sentences, keep, lexical
from lockstep import CACHED, Scorer, Texts, in_order, sequential, tournament
from quantized import Answer, Scan, dev

DEPTHS = 11
NEEDLES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../bench/reader/needles.json")
LONGEST_SENTENCE = 800   # characters; the product's segmenter cuts at as many bytes
MODES = {"sequential": sequential, "tournament": tournament}
TABLE = []


def say(*parts, keep=False):
    line = " ".join(str(p) for p in parts)
    print(line, flush=True)
    if keep:
        TABLE.append(line)


def cut(sentence):
    return [sentence[i:i + LONGEST_SENTENCE] for i in range(0, len(sentence), LONGEST_SENTENCE)]


def haystack(root):
    path = f"{root}/haystack/sentences.jsonl"
    if os.path.exists(path):
        return [json.loads(line) for line in build.read(path).splitlines()]
    text = "\n\n".join(build.read(p) for p in sorted(glob.glob(f"{root}/haystack/*.txt")))
    return [build.ends_ws(c) for s in synth.sentences(text) if s.strip() for c in cut(s)]


class Model:
    def __init__(s, folder):
        s.tok = Tokenizer.from_file(f"{folder}/tokenizer.json")
        reader = json.load(open(f"{folder}/config.json"))["reader"]
        s.longest, s.longest_question = reader["max_window_tokens"], reader["max_question_tokens"]
        s.settings = {"window_tokens": s.longest - s.longest_question - 3, **reader["settings"]}
        s.answer_settings = reader["answer"]
        scan = Scan(folder, s.longest)
        run = torch.compile(lambda ids, rows: scan(ids, rows), dynamic=False) if dev == "cuda" else scan
        def either(ids, rows):
            try:
                return either.run(ids, rows)
            except torch.cuda.OutOfMemoryError:
                raise
            except Exception as e:
                if either.run is scan:
                    raise
                say("not compiled:", type(e).__name__, str(e)[:300])
                either.run = scan
                return scan(ids, rows)
        either.run = run
        s.scan = either
        s.answer = Answer(folder) if os.path.exists(f"{folder}/answer.safetensors") else None

    def encode(s, question):
        return s.tok.encode(" " + question.strip(), add_special_tokens=False).ids[:s.longest_question]


def answered(model, scorer, rows, evidence, counts, asked, ids):
    """
    What is answered from the evidence [C, S] of texts [C, N]: the sentences picked [C, S], and (text, confidence, sentence) of each answer; asked [C],
    numbers of the questions whose tokens `ids` holds.
    """
    evidence = in_order(rows, evidence)
    questions = [ids[k] for k in asked.tolist()]
    cache = shortlist(model.answer, scorer, evidence, asked, counts, questions, model.settings, model.answer_settings)
    standing = standings(scorer, cache, asked, counts, model.settings["lexical_weight"])
    return cache, answers(model.answer, model.tok, scorer.table, cache, questions, standing, model.answer_settings)


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


def by_words(table, texts, budget, plain):
    """BM25 with the usual constants and whole words over the whole text, the best `budget` tokens: what a lexical index would give [C, 512]. `plain` is the table of whole words."""
    best = []
    for row, length, q in zip(texts.rows, texts.length.tolist(), texts.question):
        number, copies = row[:length].long().unique(return_counts=True)
        times = plain.times(number[None], q[None])
        total = copies.sum()[None].float()
        holding = ((times[0] > 0) * copies[:, None]).sum(0)[None].float()
        read = (plain.words[number] * copies).sum()[None].float()
        score = lexical(times, torch.zeros_like(times, dtype=torch.float), plain.words[number][None], holding, total, read, 1.2, 0.75)
        top, at = score.topk(min(512, len(number)))
        best.append((torch.nn.functional.pad(number[at[0]], (0, 512 - at.shape[1]), value=-1), torch.nn.functional.pad(top[0], (0, 512 - at.shape[1]))))
    window, score = (torch.stack(x) for x in zip(*best))
    return window.masked_fill(~keep(score, window, table, budget), -1)


def whole_words(text):
    return RUN.findall(text.lower())


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


def look_again(model, table, texts, given, which, questions, way):
    """The texts `which` once more, the sentence that answered behind the question -> what is answered from and answers, as of `answered`."""
    found = [given[i][2] for i in which]
    sought = [f"{questions[i]} {table.texts[k].strip()}" for i, k in zip(which, found)]
    once_more = Sentences(table.texts, model.tok, sought)
    scorer = Scorer(model.scan, once_more, [model.encode(q) for q in sought], model.longest)
    rows = [texts.rows[i][:texts.length[i]].tolist() for i in which]
    size = 55 if way == "tournament" else len(rows)
    parts = [MODES[way](scorer, Texts(rows[k:k + size], list(range(k, min(len(rows), k + size)))), model.settings) for k in range(0, len(rows), size)]
    more, counts = torch.cat([p[0] for p in parts]), [torch.cat(c) for c in zip(*(p[1] for p in parts))]
    both = torch.full((len(which), more.shape[1] + 1), -1, device=dev)
    for k, row in enumerate(more.tolist()):
        every = list(dict.fromkeys([found[k]] + [x for x in row if x >= 0]))
        both[k, :len(every)] = torch.tensor(every)
    return answered(model, scorer, texts.rows[which], both, counts, torch.arange(len(which), device=dev), [model.encode(questions[i]) for i in which])


def second(model, table, texts, picks, given, questions, way):
    """Uncertain answers looked for once more; the surer one stays (shared/scan/second.ts)."""
    unsure = [i for i, (_, confidence, sentence) in enumerate(given) if confidence < model.answer_settings["again_below"] and sentence >= 0]
    if not unsure: return picks, given
    again, answer = look_again(model, table, texts, given, unsure, questions, way)
    picks = torch.nn.functional.pad(picks, (0, again.shape[1] - picks.shape[1]), value=-1)
    for k, i in enumerate(unsure):
        if answer[k][1] > given[i][1]: picks[i], given[i] = again[k], answer[k]
    return picks, given


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
