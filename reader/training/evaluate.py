"""Retrieval and answer checks on the development sets (never trained on): sentence hits, whole-corpus recall at a token
budget beside BM25, answerable or not, needles in a long haystack."""
import glob, json, math, os, random, re, sys, time
import numpy as np, torch, torch.nn.functional as F
import build, synth
from model import END, dev, load, pointers, retrieval_probs, rope_tables
from collections import Counter


class Scorer:
    def __init__(s, model, c, tok):
        s.m, s.c, s.tok = model.eval(), c, tok
        s.cos, s.sin = [t.to(dev) for t in rope_tables(4096, c.hd, c.theta)]

    def enc(s, t):
        return s.tok.encode(t, add_special_tokens=False).ids

    @torch.no_grad()
    def score(s, ctxs, qs):
        """ctxs: list of token lists; qs: list of question token lists. -> list of (pooled, last, sink) arrays over ctx tokens."""
        seqs, starts = s.layout(ctxs, qs)
        T = max(map(len, seqs)); T = (T + 127) // 128 * 128
        B = len(seqs)
        ids = torch.zeros(B, T, dtype=torch.long)
        M = max(len(q) + 2 for q in qs)
        rows = torch.full((B, M), -1)
        for i, (x, q) in enumerate(zip(seqs, qs)):
            ids[i, :len(x)] = torch.tensor(x)
            n = len(q) + 2
            rows[i, :n] = torch.arange(len(x) - n, len(x))
        ids, rows = ids.to(dev), rows.to(dev)
        with torch.autocast(dev, torch.bfloat16):
            x = s.m.emb(ids)
            for i, b in enumerate(s.m.blocks[: s.c.rlayer + 1]):
                x, q, k = b(x, s.cos[:T], s.sin[:T])
        p = retrieval_probs(q, k, rows, s.c)
        m = (rows >= 0).float()
        pooled = (p * m[..., None]).sum(1) / m.sum(1)[:, None]
        last = p[torch.arange(B), m.sum(1).long() - 1]
        pooled, last = pooled.float().cpu().numpy(), last.float().cpu().numpy()
        return [(pooled[i, starts[i]:starts[i] + len(c)], last[i, starts[i]:starts[i] + len(c)], float(pooled[i, 0])) for i, c in enumerate(ctxs)]

    def layout(s, ctxs, qs):
        qs = [q[:build.MAXQ] for q in qs]
        return [[build.BOS] + c + [build.Q] + q + [build.A] for c, q in zip(ctxs, qs)], [1] * len(qs)

    def layout_to_answer(s, ctxs, qs):
        qs = [q[:build.MAXQ] for q in qs]
        seqs = [[build.BOS, build.Q] + q + [build.CTX] + c + [build.Q] + q + [build.A] for c, q in zip(ctxs, qs)]
        return seqs, [len(q) + 3 for q in qs]

    def whole_words(s, c, x, y):
        """Widens a span to word boundaries: a causal state cannot know that a digit or syllable is the last one."""
        t = [s.tok.decode([i]) for i in c]
        while y + 1 < len(c) and t[y][-1:].isalnum() and t[y + 1][:1].isalnum(): y += 1
        while x > 0 and t[x][:1].isalnum() and t[x - 1][-1:].isalnum(): x -= 1
        return x, y

    @torch.no_grad()
    def answer(s, ctxs, qs, maxlen=40, null=False, snap=False):
        """Best span per window: text or '' for no answer."""
        seqs, starts = s.layout_to_answer(ctxs, qs)
        T = (max(map(len, seqs)) + 127) // 128 * 128
        ids = torch.zeros(len(seqs), T, dtype=torch.long)
        for i, x in enumerate(seqs): ids[i, :len(x)] = torch.tensor(x)
        ids = ids.to(dev)
        with torch.autocast(dev, torch.bfloat16):
            h, _, _ = s.m.trunk(ids, s.cos[:T], s.sin[:T])
            lg = pointers(s.m, h, torch.tensor([len(x) - 1 for x in seqs], device=dev))
        out = []
        for i, c in enumerate(ctxs):
            a, b = lg[i, 0, starts[i]:starts[i] + len(c)], lg[i, 1, starts[i] + END:starts[i] + len(c) + END]
            sc = a[:, None] + b[None]
            n = len(c)
            ok = torch.ones(n, n, device=dev, dtype=torch.bool).triu().tril(maxlen)
            v, k = sc.masked_fill(~ok, -1e9).flatten().max(0)
            x, y = divmod(k.item(), n)
            if snap:
                x, y = s.whole_words(c, x, y)
            t = s.tok.decode(c[x:y + 1]).strip()
            out.append((t, (lg[i, 0, 0] + lg[i, 1, 0] - v).item()) if null else t)
        return out


def norm(s):
    s = re.sub(r"\b(a|an|the)\b", " ", re.sub(r"[^a-z0-9 ]", " ", s.lower()))
    return s.split()


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
    return [r for r in rows if r.get("lang", "en") == "en" and r["answer_start"] is not None]


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
            sents += [x if x.endswith((" ", "\n")) else x + "\n" for x in b]
        batch.append((sents, gi, r))
    h = Counter(); tf1 = em = sf1 = sem = 0; kept, kept_q = [], []
    for i in range(0, len(batch), 64):
        bb = batch[i:i + 64]
        ids = [[S.enc(x) for x in b[0]] for b in bb]
        ctx = [sum(x, []) for x in ids]; qs = [S.enc(" " + b[2]["question"].strip())[:build.MAXQ] for b in bb]
        sc = S.score(ctx, qs); an = S.answer(ctx, qs); sn = S.answer(ctx, qs, snap=True)
        for (sents, gi, r), xs, (po, la, sk), a, a2 in zip(bb, ids, sc, an, sn):
            bounds = np.cumsum([0] + [len(x) for x in xs])
            for nm, v in (("pool", po), ("last", la)):
                s = [v[bounds[j]:bounds[j + 1]].sum() for j in range(len(xs))]
                rank = sorted(range(len(s)), key=lambda j: -s[j]).index(gi)
                h[nm + "@1"] += rank == 0; h[nm + "@3"] += rank < 3
            bm = BM25(sents).score(r["question"]); rank = list(np.argsort(-bm)).index(gi)
            h["bm25@1"] += rank == 0; h["bm25@3"] += rank < 3
            mass = np.array([po[bounds[j]:bounds[j + 1]].sum() for j in range(len(xs))])
            for w in (0.1, 0.2, 0.3, 0.5):
                rank = list(np.argsort(-(np.log(mass + 1e-3) + w * bm))).index(gi)
                h[f"both{w}@1"] += rank == 0; h[f"both{w}@3"] += rank < 3
            keep, t = [], 0
            for j in np.argsort(-(np.log(mass + 1e-3) + 0.3 * bm)):
                if t + len(xs[j]) > 256: continue
                keep.append(j); t += len(xs[j])
            kept.append(sum((xs[j] for j in sorted(keep)), [])); kept_q.append(qs[len(kept) - 1 - i])
            tf1 += f1(a, r["answers"]); em += any(norm(a) == norm(g) for g in r["answers"])
            sf1 += f1(a2, r["answers"]); sem += any(norm(a2) == norm(g) for g in r["answers"])
    N = len(batch)
    got = []
    for i in range(0, N, 64): got += S.answer(kept[i:i + 64], kept_q[i:i + 64], snap=True)
    log(name, "answered from the 256 tokens kept: F1", round(sum(f1(a, b[2]["answers"]) for a, b in zip(got, batch)) / N, 3), "EM", round(sum(any(norm(a) == norm(g) for g in b[2]["answers"]) for a, b in zip(got, batch)) / N, 3))
    log(name, "window n", N, {k: round(v / N, 3) for k, v in sorted(h.items())}, "F1", round(tf1 / N, 3), "EM", round(em / N, 3), "whole words F1", round(sf1 / N, 3), "EM", round(sem / N, 3))
    for (sents, gi, r), a in list(zip(bb, an))[:4]: log("   ", r["question"], "| gold:", r["answers"][0], "| got:", a)


def eval_corpus(S, rows, log, name, n=60, budget=300, win=700):
    """All passages as one document; parallel windows; recall of the gold sentence at a token budget, vs BM25."""
    ctxs = list(dict.fromkeys(r["context"] for r in rows))
    sents, where = [], {}
    for c in ctxs:
        ss = synth.sentences(c); where[c] = len(sents)
        sents += [x if x.endswith((" ", "\n")) else x + "\n" for x in ss]
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
    R = Counter(); af = 0
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
        # second round: the best sentences of round one in one window
        def top(sv, cap):
            t, keep = 0, []
            for j in np.argsort(-sv):
                if t + len(ids[j]) > cap: break
                keep.append(j); t += len(ids[j])
            return sorted(keep)
        keep = top(sp, 800)
        po, la, sk = S.score([sum((ids[i] for i in keep), [])], [q])[0]
        s2, b = np.full(len(sents), -1.0), 0
        for i in keep: s2[i] = po[b:b + len(ids[i])].sum(); b += len(ids[i])
        R["last2"] += recall(np.argsort(-s2), gi)
        R["top800"] += gi in keep
        keep2 = top(s2, budget)
        a = S.answer([sum((ids[i] for i in keep2), [])], [q])[0]
        R["f1"] += f1(a, r["answers"])
    log(name, "corpus tokens", sum(map(len, ids)), "sentences", len(sents), {k: round(v / R["n"], 3) for k, v in R.items() if k != "n"}, "n", R["n"])


def auroc(pos, neg):
    v = sorted([(x, 1) for x in pos] + [(x, 0) for x in neg])
    return sum(i + 1 for i, (_, y) in enumerate(v) if y) / (len(pos) * len(neg)) - (len(pos) + 1) / (2 * len(neg))


def fit_confidence(S, rows, log, n=600):
    """Bias and temperature of the confidence, on passages beside others of their article with and without the sentence that answers."""
    rnd = random.Random(11); rows = rows[:]; rnd.shuffle(rows); rows = rows[:n]
    near = {}
    for r in rows: near.setdefault(r["doc_id"], set()).add(r["context"])
    ctx, qs, y = [], [], []
    for r in rows:
        ss, g = gold_sentence(r)
        if g is None: continue
        others = [synth.sentences(c) for c in sorted(near[r["doc_id"]] - {r["context"]})[:3]]
        low = [a.lower() for a in r["answers"]]
        for has in (1, 0):
            mine = [x for j, x in enumerate(ss) if (j == g and has) or (not any(a in x.lower() for a in low) and rnd.random() < 0.6)]
            rest = [x for b in others for x in b if not any(a in x.lower() for a in low)]
            text = (mine + rnd.sample(rest, min(len(rest), 6)))
            ids = sum((S.enc(build.ends_ws(x)) for x in text), [])[:400]
            if ids and not (has and g >= len(ss)):
                ctx.append(ids); qs.append(S.enc(" " + r["question"].strip())); y.append(has)
    margin = []
    for i in range(0, len(ctx), 64): margin += [-v for _, v in S.answer(ctx[i:i + 64], qs[i:i + 64], null=True)]
    m, y = torch.tensor(margin), torch.tensor(y).float()
    w = torch.tensor([0.3, 0.0], requires_grad=True)
    opt = torch.optim.LBFGS([w], max_iter=200)
    def loss():
        opt.zero_grad(); v = F.binary_cross_entropy_with_logits(w[0] * m + w[1], y); v.backward(); return v
    opt.step(loss)
    a, b = w.tolist()
    log("confidence: bias", round(-b / a, 2), "temperature", round(1 / a, 2), "AUROC", round(auroc(m[y == 1].tolist(), m[y == 0].tolist()), 3), "n", len(y))


def eval_unanswerable(S, rows, log, n=1000):
    """SQuAD 2.0, one paragraph: does the sink say that the answer is not here?"""
    rnd = random.Random(7); rows = rows[:]; rnd.shuffle(rows); rows = rows[:n]
    sink, null = {0: [], 1: []}, {0: [], 1: []}
    for i in range(0, len(rows), 64):
        bb = rows[i:i + 64]
        ctx = [S.enc(r["context"])[:900] for r in bb]; qs = [S.enc(" " + r["question"].strip())[:build.MAXQ] for r in bb]
        for r, (po, la, sk), (_, nl) in zip(bb, S.score(ctx, qs), S.answer(ctx, qs, null=True)):
            y = int(not r["answers"]); sink[y].append(sk); null[y].append(nl)
    log("squad_v2.0.dev n", len(rows), "unanswerable", len(sink[1]), "AUROC sink", round(auroc(sink[1], sink[0]), 3), "span null", round(auroc(null[1], null[0]), 3))


NEEDLE = "\nThe best thing to do in San Francisco is eat a sandwich and sit in Dolores Park on a sunny day.\n"
NQ = "What is the best thing to do in San Francisco?"


def eval_nih(S, log, root, total=1_000_000, depths=11, win=640, cache_cap=256, needle=NEEDLE, q=NQ, must=("dolores", "sandwich")):
    text = "\n".join(build.read(p) for p in sorted(glob.glob(f"{root}/haystack/*.txt*")))
    sents = [x if x.endswith((" ", "\n")) else x + "\n" for x in synth.sentences(text)]
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
    ans = S.answer([sum(c, []) for c in cache], [qi] * depths)
    kept = [nd in c for c in cache]
    ok = [all(m in a.lower() for m in must) for a in ans]
    snap = S.answer([sum(c, []) for c in cache], [qi] * depths, snap=True)
    log("whole words: answered", sum(all(m in a.lower() for m in must) for a in snap), snap[:2])
    log(f"NIH {total} tokens: needle kept {sum(kept)}/{depths}, answered {sum(ok)}/{depths}, windows {steps}, {time.time()-t0:.1f}s", ans[:3])


def run(model, c, tok, root, log):
    S = Scorer(model, c, tok)
    load = lambda nm: [p for p in glob.glob(f"{root}/dev/{nm}.jsonl*")]
    n = 8 if os.environ.get("SMOKE") else 400
    for p in glob.glob(f"{root}/qa/squad_v1.1.train.jsonl*"):   # articles that no training saw: what is fitted is fitted here
        held = [r for r in squadlike(p) if build.held_out(r)]
        eval_passages(S, held, log, "squad_v1.1.train, held out", n=n)
        fit_confidence(S, held, log, n=2 * n)
    sq = []
    for nm in ("squad_v1.1.dev", "fairytaleqa.val"):
        for p in load(nm):
            rows = squadlike(p); sq = sq or rows
            eval_passages(S, rows, log, nm, n=n)
    for p in load("squad_v2.0.dev"):
        rows = [json.loads(l) for l in build.read(p).splitlines()]
        eval_unanswerable(S, rows, log, n=3 * n)
    if os.environ.get("SMOKE"):
        return eval_nih(S, log, root, 2000, depths=2)
    eval_nih(S, log, root, 200_000, win=512)
    eval_nih(S, log, root, 200_000, win=512, needle="\nOne of the special magic numbers for quiet-harbor is: 8231405.\n", q="What is the special magic number for quiet-harbor mentioned in the provided text?", must=("8231405",))
    eval_nih(S, log, root, 200_000, win=512, needle="\nThe pass key is 71432. Remember it. 71432 is the pass key.\n", q="What is the pass key?", must=("71432",))
    if sq:
        eval_corpus(S, sq, log, "squad_v1.1.dev")
    eval_nih(S, log, root, 1_000_000, win=512)
    log("evaluated")


if __name__ == "__main__":   # evaluate.py MODEL_FOLDER: the shipped files, without training
    from tokenizers import Tokenizer
    model, c = load(sys.argv[1])
    run(model, c, Tokenizer.from_file(f"{sys.argv[1]}/tokenizer.json"), os.environ["DATA"], print)
