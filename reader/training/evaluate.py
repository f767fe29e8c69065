"""Retrieval and answer checks on the development sets (never trained on): sentence hits, whole-corpus recall at a token
budget beside BM25, answerable or not, needles in a long haystack."""
import glob, json, math, os, random, re, sys, time
import numpy as np, torch
import build, synth
import answerer
from keep import score_words
from model import dev, load_scan, retrieval_probs, rope_tables
from collections import Counter


class Scorer:
    """The two models over lists of token lists: contexts and questions."""
    def __init__(s, scan, c, answerer, tok):
        s.m, s.c, s.a, s.tok = scan.eval(), c, answerer.eval(), tok
        s.cos, s.sin = [t.to(dev) for t in rope_tables(4096, c.hd, c.theta)]

    def enc(s, t):
        return s.tok.encode(t, add_special_tokens=False).ids

    @torch.no_grad()
    def score(s, ctxs, qs):
        """-> (mean over the question's rows, last row, sink) over the tokens of each context."""
        qs = [q[:build.MAXQ] for q in qs]
        seqs = [[build.BOS] + c + [build.Q] + q + [build.A] for c, q in zip(ctxs, qs)]
        ids, B, T = s.padded(seqs)
        rows = torch.full((B, max(len(q) + 2 for q in qs)), -1)
        for i, (x, q) in enumerate(zip(seqs, qs)):
            rows[i, :len(q) + 2] = torch.arange(len(x) - len(q) - 2, len(x))
        rows = rows.to(dev)
        with torch.autocast(dev, torch.bfloat16):
            _, q, k = s.m.trunk(ids, s.cos[:T], s.sin[:T])
        p = retrieval_probs(q, k, rows, s.c)
        m = (rows >= 0).float()
        pooled = (p * m[..., None]).sum(1) / m.sum(1)[:, None]
        last = p[torch.arange(B), m.sum(1).long() - 1]
        pooled, last = pooled.float().cpu().numpy(), last.float().cpu().numpy()
        return [(pooled[i, 1:1 + len(c)], last[i, 1:1 + len(c)], float(pooled[i, 0])) for i, c in enumerate(ctxs)]

    def padded(s, seqs):
        T = (max(map(len, seqs)) + 127) // 128 * 128
        ids = torch.zeros(len(seqs), T, dtype=torch.long)
        for i, x in enumerate(seqs): ids[i, :len(x)] = torch.tensor(x)
        return ids.to(dev), len(seqs), T

    def whole_words(s, c, x, y):
        """Widens a span to word boundaries, as the product does."""
        t = [s.tok.decode([i]) for i in c]
        while y + 1 < len(c) and t[y][-1:].isalnum() and t[y + 1][:1].isalnum(): y += 1
        while x > 0 and t[x][:1].isalnum() and t[x - 1][-1:].isalnum(): x -= 1
        return x, y

    @torch.no_grad()
    def answer(s, ctxs, qs, maxlen=64, weight=0.0, bounds=None):
        """
        -> (text, margin of the span over "not answered", log odds that there is evidence, relevance of each token) for each context.
        `weight` times the log relevance of its sentence is added to a span's score; `bounds` are the sentences' ends then.
        """
        qs = [q[:build.MAXQ] for q in qs]
        seqs = [[build.BOS, build.Q] + q + [build.CTX] + c for c, q in zip(ctxs, qs)]
        ids, B, T = s.padded(seqs)
        mask = torch.arange(T, device=dev)[None] < torch.tensor([len(x) for x in seqs], device=dev)[:, None]
        with torch.autocast(dev, torch.bfloat16):
            lg = s.a(ids, mask)
        out = []
        for i, c in enumerate(ctxs):
            first = len(qs[i]) + 3; n = len(c)
            l = torch.cat([lg[i, :1], lg[i, first:first + n]])
            p = l[:, 2].softmax(0)
            rel = p[1:].cpu().numpy()
            sc = l[1:, 0][:, None] + l[1:, 1][None]
            if weight:
                own = np.repeat([rel[x:y].sum() for x, y in zip([0] + bounds[i][:-1], bounds[i])], np.diff([0] + bounds[i]))
                sc = sc + weight * torch.tensor(np.log(own + 1e-4), device=dev, dtype=sc.dtype)[:, None]
            ok = torch.ones(n, n, device=dev, dtype=torch.bool).triu().tril(maxlen)
            v, k = sc.masked_fill(~ok, -1e9).flatten().max(0)
            x, y = divmod(k.item(), n)
            margin = (l[1:, 0][x] + l[1:, 1][y] - l[0, 0] - l[0, 1]).item()
            x, y = s.whole_words(c, x, y)
            p0 = float(p[0].clamp(1e-6, 1 - 1e-6))
            out.append((s.tok.decode(c[x:y + 1]).strip(), margin, math.log((1 - p0) / p0), rel))
        return out


def norm(s):
    s = re.sub(r"\b(a|an|the)\b", " ", re.sub(r"[^a-z0-9\u4e00-\u9fff ]", " ", s.lower()))
    return re.sub(r"([\u4e00-\u9fff])", r" \1 ", s).split()


def f1(p, gs):
    best = 0
    for g in gs:
        a, b = norm(p), norm(g)
        k = sum((Counter(a) & Counter(b)).values())
        if k: best = max(best, 2 * k / (len(a) + len(b)))
        elif not a and not b: best = 1
    return best


class BM25:
    def __init__(s, docs, k1=1.2, b=0.75):
        s.d = [Counter(norm(x)) for x in docs]; s.len = np.array([sum(c.values()) for c in s.d]); s.avg = s.len.mean()
        df = Counter(w for c in s.d for w in c); n = len(docs)
        s.idf = {w: math.log(1 + (n - f + .5) / (f + .5)) for w, f in df.items()}
        s.post = {}
        for i, c in enumerate(s.d):
            for w, f in c.items(): s.post.setdefault(w, []).append((i, f))
        s.k1, s.b = k1, b

    def score(s, q):
        r = np.zeros(len(s.d))
        for w in norm(q):
            for i, f in s.post.get(w, ()):
                r[i] += s.idf[w] * f * (s.k1 + 1) / (f + s.k1 * (1 - s.b + s.b * s.len[i] / s.avg))
        return r


def squadlike(path):
    rows = [json.loads(l) for l in build.read(path).splitlines()]
    return [r for r in rows if r["answer_start"] is not None]


def gold_sentence(r):
    ss = synth.sentences(r["context"]); pos = 0
    for i, s in enumerate(ss):
        if pos <= r["answer_start"] < pos + len(s): return ss, i
        pos += len(s)
    return ss, None


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


def eval_corpus(S, rows, log, name, n=60, budget=300, win=700):
    """All passages as one document; parallel windows; recall of the gold sentence at a token budget, vs BM25."""
    ctxs = list(dict.fromkeys(r["context"] for r in rows))
    sents, where = [], {}
    for c in ctxs:
        ss = synth.sentences(c); where[c] = len(sents)
        sents += [build.ends_ws(x) for x in ss]
    ids = [S.enc(x) for x in sents]
    wins, cur, L = [], [], 0
    for i, x in enumerate(ids):
        if L + len(x) > win and cur: wins.append(cur); cur, L = [], 0
        cur.append(i); L += len(x)
    wins.append(cur)
    rnd = random.Random(9); rs = rows[:]; rnd.shuffle(rs); rs = rs[:n]
    bm = BM25(sents)
    def recall(order, gi):
        t = 0
        for j in order:
            t += len(ids[j])
            if j == gi: return t <= budget
            if t > budget: return False
    R = Counter()
    for r in rs:
        ss, g = gold_sentence(r)
        if g is None: continue
        gi = where[r["context"]] + g; q = S.enc(" " + r["question"].strip())[:build.MAXQ]
        v = {}
        W = [sum((ids[i] for i in w), []) for w in wins]
        res = []
        for i in range(0, len(W), 128): res += S.score(W[i:i + 128], [q] * len(W[i:i + 128]))
        sp, sl, se = np.zeros(len(sents)), np.zeros(len(sents)), np.zeros(len(sents))
        for w, (po, la, sk) in zip(wins, res):
            b = 0
            for i in w:
                e = b + len(ids[i]); sp[i] = po[b:e].sum(); sl[i] = la[b:e].sum(); b = e
        R["n"] += 1
        R["pool"] += recall(np.argsort(-sp), gi); R["last"] += recall(np.argsort(-sl), gi)
        lexical = bm.score(r["question"])
        R["bm25"] += recall(np.argsort(-lexical), gi)
        for w in (0.1, 0.2, 0.3, 0.5):
            R[f"both{w}"] += recall(np.argsort(-(np.log(sp + 1e-3) + w * lexical)), gi)
    log(name, "corpus tokens", sum(map(len, ids)), "sentences", len(sents), {k: round(v / R["n"], 3) for k, v in R.items() if k != "n"}, "n", R["n"])


def auroc(pos, neg):
    v = sorted([(x, 1) for x in pos] + [(x, 0) for x in neg])
    return sum(i + 1 for i, (_, y) in enumerate(v) if y) / (len(pos) * len(neg)) - (len(pos) + 1) / (2 * len(neg))


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


NEEDLE = "\nThe best thing to do in San Francisco is eat a sandwich and sit in Dolores Park on a sunny day.\n"
NQ = "What is the best thing to do in San Francisco?"


def eval_nih(S, log, root, total=1_000_000, depths=11, win=640, cache_cap=256, needle=NEEDLE, q=NQ, must=("dolores", "sandwich")):
    text = "\n".join(build.read(p) for p in sorted(glob.glob(f"{root}/haystack/*.txt*")))
    sents = [build.ends_ws(x) for x in synth.sentences(text)]
    base = [e.ids for e in S.tok.encode_batch(sents, add_special_tokens=False)]
    ids, L = [], 0
    while L < total:
        for x in base:
            ids.append(x); L += len(x)
            if L >= total: break
    nd = S.enc(needle.strip() + " ")
    qi = S.enc(" " + q)
    docs = []
    for d in range(depths):
        at = int(len(ids) * d / (depths - 1))
        docs.append(ids[:at] + [nd] + ids[at:])
    pos = [0] * depths; cache = [[] for _ in range(depths)]; t0 = time.time(); steps = 0
    kept_at_end = 0
    while True:
        act = [i for i in range(depths) if pos[i] < len(docs[i])]
        if not act: break
        ctx, segs = [], []
        for i in act:
            w, L = [], 0
            while pos[i] < len(docs[i]) and (L + len(docs[i][pos[i]]) <= win or not w):
                w.append(docs[i][pos[i]][:win]); L += len(w[-1]); pos[i] += 1
            seg = cache[i] + w
            segs.append(seg); ctx.append(sum(seg, []))
        for i, seg, (po, la, sk) in zip(act, segs, S.score(ctx, [qi] * len(act))):
            sc, b = [], 0
            for x in seg: sc.append(po[b:b + len(x)].sum()); b += len(x)
            keep, t = set(), 0
            for j in sorted(range(len(seg)), key=lambda j: -sc[j]):
                if t + len(seg[j]) > cache_cap: break
                keep.add(j); t += len(seg[j])
            cache[i] = [x for j, x in enumerate(seg) if j in keep]
        steps += 1
    ans = [a[0] for a in S.answer([sum(c, []) for c in cache], [qi] * depths)]
    kept = [nd in c for c in cache]
    ok = [all(m in a.lower() for m in must) for a in ans]
    log(f"NIH {total} tokens: needle kept {sum(kept)}/{depths}, answered {sum(ok)}/{depths}, windows {steps}, {time.time()-t0:.1f}s", sorted(set(ans))[:4])


PARTS = ("held", "chinese", "window", "unanswerable", "needles", "corpus")


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
    if os.environ.get("SMOKE"):
        return eval_nih(S, log, root, 2000, depths=2)
    if "needles" in parts:
        eval_nih(S, log, root, 200_000, win=512)
        eval_nih(S, log, root, 200_000, win=512, needle="\nOne of the special magic numbers for quiet-harbor is: 8231405.\n", q="What is the special magic number for quiet-harbor mentioned in the provided text?", must=("8231405",))
        eval_nih(S, log, root, 200_000, win=512, needle="\nThe pass key is 71432. Remember it. 71432 is the pass key.\n", q="What is the pass key?", must=("71432",))
        eval_nih(S, log, root, 1_000_000, win=512)
    for p in here("dev/squad_v1.1.dev") if "corpus" in parts else (): eval_corpus(S, squadlike(p), log, "squad_v1.1.dev")
    log("evaluated")


if __name__ == "__main__":   # evaluate.py MODEL_FOLDER [parts, with commas between]: finished files
    from tokenizers import Tokenizer
    folder = sys.argv[1]
    scan, c = load_scan(folder)
    run(Scorer(scan, c, answerer.load(folder), Tokenizer.from_file(f"{folder}/tokenizer.json")), os.environ["DATA"], print, sys.argv[2].split(",") if len(sys.argv) > 2 else PARTS)
