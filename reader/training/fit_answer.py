"""
fit_answer.py MODEL_FOLDER [QUESTIONS]: how answers are read off the scores (shared/answer.ts), fitted on the articles kept out of training.

Each held-out question is asked of a window of passages as the product asks: the best sentences are kept, read once more by the scan and once to
answer from, in int8. Then asked again so that nothing answers: every second time the sentences that hold the answer are gone, else the
question is changed; then the near misses written to held-out passages. The settings are printed and written into the folder's config.json. 800 questions take 5 minutes on one core (OMP_NUM_THREADS=1: threads beside other work are slower).
"""
import glob, json, os, random, sys
from dataclasses import dataclass
import numpy as np, torch
import build, corrupt, synth
from scorer import auroc, f1, gold_sentence, norm, squadlike
from keep import score_words
from quantized import Answer, Scan, dev
from tokenizers import Tokenizer

PASSAGES, LONGEST, FREE = 850, 64, 8   # tokens of a window of passages, of an answer, and of a span that costs nothing
AT_ONCE = 16
REFUSED_F1 = 0.01   # what the threshold may cost


@dataclass
class Case:
    kind: str             # "there", "gone", "changed" or "near"
    gold: int             # place of the sentence that answers, -1 for none
    answers: list
    ids: list             # tokens of each kept sentence
    standing: np.ndarray  # one a sentence
    logits: np.ndarray    # [tokens, 3]: start, end, evidence
    none: np.ndarray      # [3], of position 0

    def __post_init__(s):
        s.owner = np.repeat(np.arange(len(s.ids)), [len(x) for x in s.ids])[:len(s.logits)]
        p = softmax(np.append(s.logits[:, 2], s.none[2]))
        nowhere = np.clip(p[-1], 1e-6, 1 - 1e-6)
        s.odds = np.log((1 - nowhere) / nowhere)
        s.shares = np.bincount(s.owner, p[:-1], len(s.ids))

    def likely(s, weight):
        """Log probability of each sentence to be the one that answers."""
        return np.log(softmax(np.log(s.shares + 1e-4) + weight * s.standing) + 1e-300)

    def span(s, weight, penalty):
        """First and last token of the best span, both included."""
        i = np.arange(len(s.owner))
        length = i[None] - i[:, None] + 1
        allowed = (length > 0) & (length <= LONGEST) & (s.owner[None] - s.owner[:, None] <= 1)
        first = s.logits[:, 0] + s.likely(weight)[s.owner]
        score = first[:, None] + s.logits[None, :, 1] - penalty * np.maximum(length - FREE, 0)
        return divmod(int(np.where(allowed, score, -np.inf).argmax()), len(i))


def softmax(x):
    e = np.exp(x - x.max())
    return e / e.sum()


class Reader:
    def __init__(s, folder):
        s.scan, s.model, s.tok = Scan(folder), Answer(folder), Tokenizer.from_file(f"{folder}/tokenizer.json")
        s.settings = json.load(open(f"{folder}/config.json"))["reader"]["settings"]

    def encode(s, text):
        return s.tok.encode(text, add_special_tokens=False).ids

    def ask(s, question):
        return s.encode(" " + question.strip())[:build.MAXQ]

    def standings(s, windows, questions, texts=None):
        """What shared/selection.ts ranks by: for each window, a list of sentences, one number a sentence. `texts`: evidence is read, of these."""
        ids = [[s.encode(x) for x in w] for w in windows]
        asked = [s.ask(q) for q in questions]
        seqs = [[build.BOS] + sum(x, []) + [build.Q] + q + [build.A] for x, q in zip(ids, asked)]
        rows = torch.full((len(seqs), build.MAXQ + 2), -1)
        for i, (x, q) in enumerate(zip(seqs, asked)): rows[i, :len(q) + 2] = torch.arange(len(x) - len(q) - 2, len(x))
        tokens, _ = padded(seqs, s.scan.window)
        importance = s.scan(tokens, rows.to(dev)).cpu().numpy()
        out = []
        for x, w, q, text, row in zip(ids, windows, questions, texts or [None] * len(windows), importance):
            ends = np.cumsum([1] + [len(t) for t in x])
            mass = np.array([row[a:b].sum() for a, b in zip(ends, ends[1:])])
            out.append(np.log(mass + 1e-3) + s.settings["lexical_weight"] * np.array(score_words(q, w, text is None, text)))
        return out

    def kept(s, window, standing):
        """Places of the best sentences that the cache holds, in order."""
        kept, used = [], 0
        for j in np.argsort(-standing, kind="stable"):
            size = len(s.encode(window[j]))
            if not kept or used + size <= s.settings["cache_tokens"]: kept.append(j); used += size
        return sorted(kept)

    @torch.no_grad()
    def read(s, asked):
        """asked: (kind, sentences, place of the one that answers, question, answers) -> cases."""
        kinds, windows, golds, questions, answers = zip(*asked)
        places = [s.kept(w, x) for w, x in zip(windows, s.standings(windows, questions))]
        evidence = [[w[j] for j in p] for w, p in zip(windows, places)]
        ids = [[s.encode(x) for x in e] for e in evidence]
        heads = [[build.BOS, build.Q] + s.ask(q) + [build.CTX] for q in questions]
        seqs = [(h + sum(x, []))[:s.model.longest] for h, x in zip(heads, ids)]
        logits = s.model(*padded(seqs)).float().cpu().double().numpy()
        standing = s.standings(evidence, questions, windows)
        return [Case(kinds[i], p.index(golds[i]) if golds[i] in p else -1, answers[i], ids[i], standing[i], logits[i, len(heads[i]):len(seqs[i])], logits[i, 0])
                for i, p in enumerate(places)]

    def text(s, case, first, last):
        """The answer's text, widened to whole words as the product does."""
        ids = sum(case.ids, [])
        t = [s.tok.decode([i]) for i in ids]
        while last + 1 < len(ids) and t[last][-1:].isalnum() and t[last + 1][:1].isalnum(): last += 1
        while first > 0 and t[first][:1].isalnum() and t[first - 1][-1:].isalnum(): first -= 1
        return s.tok.decode(ids[first:last + 1]).strip()


def padded(seqs, block=1):
    """-> ids and mask [B, T], T a multiple of `block`."""
    T = -(-max(map(len, seqs)) // block) * block
    ids, mask = torch.zeros(len(seqs), T, dtype=torch.long), torch.zeros(len(seqs), T, dtype=torch.bool)
    for i, x in enumerate(seqs): ids[i, :len(x)] = torch.tensor(x); mask[i, :len(x)] = True
    return ids.to(dev), mask.to(dev)


def questions(reader, rows, n):
    """(kind, sentences, place of the one that answers, question, answers): the passage among others, then so that nothing answers."""
    rnd = random.Random(5)
    rnd.shuffle(rows)
    contexts = sorted({r["context"] for r in rows})
    size = {c: len(reader.encode(c)) for c in contexts}

    def among_others(context):
        """-> sentences of a window of passages, the place of the context's first."""
        blocks, total = [context], size[context]
        for c in rnd.sample(contexts, 12):
            if c != context and total + size[c] < PASSAGES: blocks.append(c); total += size[c]
        rnd.shuffle(blocks)
        split = [synth.sentences(c) for c in blocks]
        return [build.ends_ws(x) for x in sum(split, [])], sum(len(x) for x in split[:blocks.index(context)])

    for i, r in enumerate(rows[:n]):
        ss, g = gold_sentence(r)
        if g is None: continue
        window, first = among_others(r["context"])
        gold = first + g
        yield "there", window, gold, r["question"], r["answers"]
        low = {a.lower() for a in r["answers"]}
        changed = corrupt.question(rnd, r["question"], r["context"], low) if i % 2 else None
        if changed: yield "changed", window, -1, changed, []
        else: yield "gone", [x for x in window if not any(a in x.lower() for a in low)], -1, r["question"], []
    near = build.near_misses()
    for r in rows:
        for question in near[r["id"]][0] if r["id"] in near else []: yield "near", among_others(r["context"])[0], -1, question, []


def fit_standing(cases):
    """The weight under which the sentences that answer are likeliest. Which is first says less: it hardly moves, and nothing of those that answer together."""
    def loss(weight): return -np.mean([c.likely(weight)[c.gold] for c in cases if c.gold >= 0])
    def hits(weight, k): return np.mean([c.gold >= 0 and (c.likely(weight) > c.likely(weight)[c.gold]).sum() < k for c in cases])
    weights = (0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 1.5, 2)
    for w in weights: print(f"standing_weight {w:.2f}: first {hits(w, 1):.3f}, among three {hits(w, 3):.3f}, loss {loss(w):.4f}")
    return min(weights, key=loss)


def fit_length(reader, cases, weight):
    """The penalty of the best answers, by F1 and exact matches together."""
    figures = {}
    for penalty in (0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5):
        texts = [reader.text(c, *c.span(weight, penalty)) for c in cases]
        each = [f1(t, c.answers) for t, c in zip(texts, cases)]
        exact = np.mean([any(norm(t) == norm(a) for a in c.answers) for t, c in zip(texts, cases)])
        print(f"length_penalty {penalty}: F1 {np.mean(each):.3f}, exact {exact:.3f}")
        figures[penalty] = np.mean(each) + exact, np.array(each)
    best = max(figures, key=lambda p: figures[p][0])
    return best, figures[best][1]


def logistic(x, y):
    """Weights [features] and offset of the logistic regression (Newton's method), and its loss."""
    x = np.column_stack([x, np.ones(len(y))])
    w = np.zeros(x.shape[1])
    for _ in range(30):
        p = 1 / (1 + np.exp(-x @ w))
        w -= np.linalg.solve((x * (p * (1 - p))[:, None]).T @ x + 1e-6 * np.eye(len(w)), x.T @ (p - y))
    return w[:-1], w[-1], -np.mean(y * np.log(p) + (1 - y) * np.log(1 - p))


def fit_confidence(cases, weight, penalty):
    def margin(c):
        first, last = c.span(weight, penalty)
        return c.logits[first, 0] + c.logits[last, 1] - c.none[0] - c.none[1]
    odds, margins, y = np.array([c.odds for c in cases]), np.array([margin(c) for c in cases]), np.array([c.kind == "there" for c in cases])
    for kind in ("gone", "changed", "near"):
        of = lambda v: auroc(v[y].tolist(), [x for x, c in zip(v, cases) if c.kind == kind])
        print(f"AUROC beside questions {kind}: odds {of(odds):.3f}, the span's margin {of(margins):.3f}")
    plain = np.array([c.kind != "near" for c in cases])   # whoever asks a text a question expects an answer there: traps are few
    odds, margins, y = odds[plain], margins[plain], y[plain]
    (slope,), offset, loss = logistic(odds, y)
    print(f"loss of the confidence {loss:.4f}; of the margin {logistic(margins, y)[2]:.4f}, of both {logistic(np.column_stack([odds, margins]), y)[2]:.4f}")
    return round(float(-offset / slope), 2), round(float(1 / slope), 2)


def fit_threshold(cases, each, bias, temperature):
    """The highest that costs next to no F1. `each`: F1 of the questions that are answered, in their order."""
    chance = np.array([1 / (1 + np.exp((bias - c.odds) / temperature)) for c in cases])
    kind = np.array([c.kind for c in cases])
    best = 0.05
    for t in (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5):
        lost = each[chance[kind == "there"] < t].sum() / len(each)
        if lost <= REFUSED_F1: best = t
        print(f"threshold {t}: refused", *(f"{k} {np.mean(chance[kind == k] < t):.3f}," for k in ("there", "gone", "changed", "near")), f"F1 lost {lost:.4f}")
    return best


def main(folder, n=800):
    reader = Reader(folder)
    held = [r for r in squadlike(glob.glob(f"{os.environ['DATA']}/qa/squad_v1.1.train.jsonl*")[0]) if build.held_out(r)]
    asked, cases = list(questions(reader, held, n)), []
    for i in range(0, len(asked), AT_ONCE): cases += reader.read(asked[i:i + AT_ONCE])
    there = [c for c in cases if c.kind == "there"]
    print(f"{len(there)} questions, {len(cases) - len(there)} that nothing answers; the sentence kept {np.mean([c.gold >= 0 for c in there]):.3f}")
    weight = fit_standing(there)
    penalty, each = fit_length(reader, there, weight)
    bias, temperature = fit_confidence(cases, weight, penalty)
    threshold = fit_threshold(cases, each, bias, temperature)
    answer = dict(length_penalty=penalty, free_tokens=FREE, standing_weight=weight, bias=bias, temperature=temperature, threshold=threshold)
    print("answer:", json.dumps(answer))
    config = json.load(open(f"{folder}/config.json"))
    config["reader"]["answer"].update(answer)
    with open(f"{folder}/config.json", "w") as file: file.write(json.dumps(config, indent=2) + "\n")


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
