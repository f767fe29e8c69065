"""Checks on the development sets (never trained on) in bfloat16: sentence hits and answers in one window beside BM25, answerable or not. What long
texts keep: needles.py."""
import glob, json, math, os, random, sys
import numpy as np
import answerer, build, synth
from collections import Counter
from keep import score_words
from model import load_scan
from scorer import BM25, Scorer, auroc, f1, gold_sentence, norm, squadlike


def eval_passages(S, rows, log, name, n=600):
    """Single window: gold passage among distractor passages up to ~900 tokens."""
    rnd = random.Random(5); rows = rows[:]; rnd.shuffle(rows); rows = rows[:n]
    ctx_pool = sorted({r["context"] for r in rows})
    batch = []
    for r in rows:
        ss, g = gold_sentence(r)
        if g is None: continue
        blocks = [(ss, g)]
        tot = len(S.enc(r["context"]))
        for c in rnd.sample(ctx_pool, min(12, len(ctx_pool))):
            L = len(S.enc(c))
            if c != r["context"] and tot + L < 900: blocks.append((synth.sentences(c), None)); tot += L
        rnd.shuffle(blocks)
        sents, gi = [], None
        for b, g in blocks:
            if g is not None: gi = len(sents) + g
            sents += [build.ends_ws(x) for x in b]
        batch.append((sents, gi, r))
    h = Counter(); out = Counter()
    for i in range(0, len(batch), 64):
        bb = batch[i:i + 64]
        ids = [[S.enc(x) for x in b[0]] for b in bb]
        ctx = [sum(x, []) for x in ids]; qs = [S.enc(" " + b[2]["question"].strip())[:build.MAXQ] for b in bb]
        kept, order = [], []
        for (sents, gi, r), xs, (po, la, sk) in zip(bb, ids, S.score(ctx, qs)):
            bounds = np.cumsum([0] + [len(x) for x in xs])
            mass = np.array([po[bounds[j]:bounds[j + 1]].sum() for j in range(len(xs))])
            bm = BM25(sents).score(r["question"])
            words = np.array(score_words(r["question"], sents))
            ways = {"attention": mass, "bm25": bm, "words": words, **{f"both{w}": np.log(mass + 1e-3) + w * words for w in (0.1, 0.2, 0.3, 0.5)}}
            for nm, v in ways.items():
                rank = list(np.argsort(-v, kind="stable")).index(gi)
                h[nm + "@1"] += rank == 0; h[nm + "@3"] += rank < 3
            order.append(list(np.argsort(-ways["both0.3"], kind="stable")))
            keep, t = [], 0
            for j in order[-1]:
                if t + len(xs[j]) > 300: continue
                keep.append(j); t += len(xs[j])
            kept.append(sorted(keep))
            h["kept"] += gi in keep
        texts = [sum((xs[j] for j in k), []) for xs, k in zip(ids, kept)]
        bounds = [np.cumsum([len(xs[j]) for j in k]).tolist() for xs, k in zip(ids, kept)]
        for w in (0.0, 0.5, 1.0):
            for (sents, gi, r), k, e, od, (a, sm, em, rel) in zip(bb, kept, bounds, order, S.answer(texts, qs, weight=w, bounds=bounds)):
                out[f"F1 {w}"] += f1(a, r["answers"]); out[f"EM {w}"] += any(norm(a) == norm(g) for g in r["answers"])
                if w: continue
                own = [rel[x:y].sum() for x, y in zip([0] + e[:-1], e)]
                for wr in (0.0, 0.15, 0.3):   # the place among all that was read, in the order of the scan, counts a little or not
                    v = [math.log(o + 1e-4) - wr * math.log(1 + od.index(j)) for o, j in zip(own, k)]
                    best = [k[x] for x in np.argsort([-x for x in v], kind="stable")]
                    h[f"reranked{wr}@1"] += best[0] == gi; h[f"reranked{wr}@3"] += gi in best[:3]
    N = len(batch)
    log(name, "n", N, {k: round(v / N, 3) for k, v in sorted(h.items())})
    log(name, "answered from the 300 tokens kept", {k: round(v / N, 3) for k, v in sorted(out.items())})


def eval_unanswerable(S, rows, log, n=1000):
    """SQuAD 2.0, one paragraph: does the confidence tell whether the answer is there?"""
    rnd = random.Random(7); rows = rows[:]; rnd.shuffle(rows); rows = rows[:n]
    got = {0: [], 1: []}
    for i in range(0, len(rows), 64):
        bb = rows[i:i + 64]
        ctx = [S.enc(r["context"])[:440] for r in bb]; qs = [S.enc(" " + r["question"].strip())[:build.MAXQ] for r in bb]
        for r, (_, v, e, _) in zip(bb, S.answer(ctx, qs)):
            got[int(not r["answers"])].append((v, e))
    log("squad_v2.0.dev n", len(rows), "unanswerable", len(got[1]), "AUROC", {nm: round(auroc([g[k] for g in got[0]], [g[k] for g in got[1]]), 3) for k, nm in enumerate(("span", "evidence"))})


PARTS = ("held", "chinese", "window", "unanswerable")


def run(S, root, log, parts=PARTS):
    n = 8 if os.environ.get("SMOKE") else 400
    here = lambda nm: glob.glob(f"{root}/{nm}.jsonl*")
    for p in here("qa/squad_v1.1.train") if "held" in parts else ():   # articles that no training saw
        held = [r for r in squadlike(p) if build.held_out(r)]
        eval_passages(S, held, log, "squad_v1.1.train, held out", n=n)
    for p in here("qa/drcd.*") if "chinese" in parts else ():
        eval_passages(S, [r for r in squadlike(p) if build.held_out(r)], log, "drcd, held out", n=n)
    for nm in ("squad_v1.1.dev", "fairytaleqa.val") if "window" in parts else ():
        for p in here("dev/" + nm): eval_passages(S, squadlike(p), log, nm, n=n)
    for p in here("dev/squad_v2.0.dev") if "unanswerable" in parts else ():
        eval_unanswerable(S, [json.loads(l) for l in build.read(p).splitlines()], log, n=3 * n)
    log("evaluated")


if __name__ == "__main__":   # evaluate.py MODEL_FOLDER [parts, with commas between]: finished files
    from tokenizers import Tokenizer
    folder = sys.argv[1]
    scan, c = load_scan(folder)
    run(Scorer(scan, c, answerer.load(folder), Tokenizer.from_file(f"{folder}/tokenizer.json")), os.environ["DATA"], print, sys.argv[2].split(",") if len(sys.argv) > 2 else PARTS)
