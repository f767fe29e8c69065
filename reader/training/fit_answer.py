"""
fit_answer.py MODEL_FOLDER: how answers are read off the scores (shared/answer.ts), on the articles kept out of training.

Of each held-out question the best 300 tokens of a window of passages are kept as the product keeps them, read once more by the scan and once to
answer from. Printed: for each standing_weight the share of windows in which the sentence that answers has the largest relevance, and is among
the first three; for each length_penalty F1 and exact matches of the best span (before it is widened to the end of its clause).
"""
import glob, json, os, random, sys
import numpy as np, torch
import build, synth
from evaluate import BM25, f1, gold_sentence, norm, squadlike
from model import load, pointers, retrieval_probs, rope_tables
from tokenizers import Tokenizer

BUDGET, LONGEST, FREE = 300, 64, 8


class Reader:
    def __init__(s, folder):
        s.model = load(folder)
        s.model = (s.model[0] if isinstance(s.model, tuple) else s.model).eval()
        s.tok = Tokenizer.from_file(f"{folder}/tokenizer.json")
        s.tables = rope_tables(1152, s.model.c.hd, s.model.c.theta)

    def encode(s, text):
        return s.tok.encode(text, add_special_tokens=False).ids

    def run(s, ids):
        T = -(-len(ids) // 128) * 128
        return s.model.trunk(torch.tensor([ids + [0] * (T - len(ids))]), *(t[:T] for t in s.tables))

    def standing(s, sentences, ids, question, asked):
        """log(attention + 0.001) + 0.3 BM25 of each sentence, as in shared/selection.ts."""
        flat = sum(ids, [])
        seq = [build.BOS] + flat + [build.Q] + asked + [build.A]
        _, q, k = s.run(seq)
        p = retrieval_probs(q, k, torch.arange(len(seq) - len(asked) - 2, len(seq))[None], s.model.c)[0].mean(0).numpy()
        ends = np.cumsum([1] + [len(x) for x in ids])
        return np.log(np.array([p[a:b].sum() for a, b in zip(ends, ends[1:])]) + 1e-3) + 0.3 * BM25(sentences).score(question)

    def spans(s, ids, asked):
        """start + end score of every span of the evidence [N, N], the token behind the span being what the end is scored on."""
        flat = sum(ids, [])
        seq = [build.BOS, build.Q] + asked + [build.CTX]
        first, n = len(seq), len(flat)
        seq += flat + [build.Q] + asked + [build.A]
        h, _, _ = s.run(seq)
        start, end = pointers(s.model, h, torch.tensor([len(seq) - 1]))[0].numpy()
        scores = start[first:first + n, None] + end[None, first + 1:first + n + 1]
        owner = np.repeat(np.arange(len(ids)), [len(x) for x in ids])
        i = np.arange(n)
        length = i[None] - i[:, None] + 1
        allowed = (length > 0) & (length <= LONGEST) & (owner[None] - owner[:, None] <= 1)
        return np.where(allowed, scores, -1e9), owner, length


def windows(reader, rows, n):
    """(sentences, place of the one that answers, row): the passage among others, up to 900 tokens."""
    rnd = random.Random(5)
    rnd.shuffle(rows)
    contexts = sorted({r["context"] for r in rows})
    for r in rows[:n]:
        ss, g = gold_sentence(r)
        if g is None: continue
        blocks, total = [(ss, g)], len(reader.encode(r["context"]))
        for c in rnd.sample(contexts, min(12, len(contexts))):
            size = len(reader.encode(c))
            if c != r["context"] and total + size < 900:
                blocks.append((synth.sentences(c), None)); total += size
        rnd.shuffle(blocks)
        before = sum(len(b) for b, _ in blocks[:[x is not None for _, x in blocks].index(True)])
        yield [build.ends_ws(x) for b, _ in blocks for x in b], before + g, r


def logsumexp(x):
    top = x.max()
    return top + np.log(np.exp(x - top).sum())


@torch.no_grad()
def main(folder, n=800):
    reader, cases = Reader(folder), []
    held = [r for r in squadlike(glob.glob(f"{os.environ['DATA']}/qa/squad_v1.1.train.jsonl*")[0]) if build.held_out(r)]
    for sentences, gold, row in windows(reader, held, n):
        asked = reader.encode(" " + row["question"].strip())[:build.MAXQ]
        ids = [reader.encode(x) for x in sentences]
        kept, used = [], 0
        for j in np.argsort(-reader.standing(sentences, ids, row["question"], asked), kind="stable"):
            if used + len(ids[j]) <= BUDGET: kept.append(j); used += len(ids[j])
        kept.sort()
        texts, tokens = [sentences[j] for j in kept], [ids[j] for j in kept]
        cases.append((reader.standing(texts, tokens, row["question"], asked), *reader.spans(tokens, asked), tokens, kept.index(gold) if gold in kept else -1, row["answers"]))
    for weight in (0, 0.5, 1, 1.25, 1.5, 2):
        places = []
        for standing, scores, owner, _, _, gold, _ in cases:
            both = np.array([logsumexp(scores[np.ix_(owner == j, owner == j)]) for j in range(len(standing))]) + weight * standing
            places.append(list(np.argsort(-both, kind="stable")).index(gold) if gold >= 0 else 99)
        print(f"standing_weight {weight}: first {np.mean([p == 0 for p in places]):.3f}, among three {np.mean([p < 3 for p in places]):.3f}")
    for penalty in (0, 0.05, 0.1, 0.15):
        got = []
        for standing, scores, owner, length, tokens, _, answers in cases:
            x, y = divmod(int((scores + 1.25 * standing[owner][:, None] - penalty * np.maximum(length - FREE, 0)).argmax()), len(owner))
            text = reader.tok.decode(sum(tokens, [])[x:y + 1]).strip()
            got.append((f1(text, answers), any(norm(text) == norm(a) for a in answers)))
        print(f"length_penalty {penalty}: F1 {np.mean([f for f, _ in got]):.3f}, exact {np.mean([e for _, e in got]):.3f}")


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
