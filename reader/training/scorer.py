"""The two models over lists of token lists in bfloat16, and how what they find is judged."""
import json, math, re
import numpy as np, torch
import build, synth
from collections import Counter
from model import dev, retrieval_probs, rope_tables


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


def auroc(pos, neg):
    v = sorted([(x, 1) for x in pos] + [(x, 0) for x in neg])
    return sum(i + 1 for i, (_, y) in enumerate(v) if y) / (len(pos) * len(neg)) - (len(pos) + 1) / (2 * len(neg))
