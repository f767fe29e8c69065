"""Training windows.

To scan: `<|bos|> context <|question|> question <|answer|>`: the question stands behind the context, so that the local layers need not know it.
To answer from: `<|bos|> <|question|> question <|context|> context`, which the answer model reads in both directions.
"""
import os, random
import numpy as np
import keep
from build import A, CTX, Q
from kinds import G, asked, chain, cloze, fact, frame, missed, passages, recurring, span, spread_out

# What each position is to a question, as bits of the key of a window. Position 0 has them all where the window holds no answer.
EVIDENCE, START, END = 1, 2, 4

# Shares of the kinds of windows; the rest is cloze. A model to answer from first learns to read (text, cloze, recurring spans), then to answer.
MIX = {
    "scan": dict(text=0.04, qa=0.32, frame=0.34, fact=0.08, none=0.30),
    "read": dict(text=0.25, qa=0.14, fact=0.12, recurring=0.24, none=0.25),
    "answer": dict(text=0.03, qa=0.36, missed=0.20, frame=0.31, fact=0.06, recurring=0.02, none=0.33),
    "held": dict(qa=1.0, none=0.33),
    "held-frames": dict(frame=1.0, none=0.33),
}

NOBODY = 255   # the sentence of tokens that belong to none; a window to scan has fewer sentences


def sample(r, total, to_answer, mix):
    """
    -> tokens [total], key [total], (first question row, question rows, length, start of the context, answer known, question there); of a
    window to scan also the sentence of each token [total] and the BM25 of that sentence for the question [total].
    """
    c, m = G["corpus"], MIX[mix]
    x, kind = r.random(), "cloze"
    for k in ("text", "qa", "missed", "frame", "fact", "recurring"):
        x -= m.get(k, 0)
        if x < 0:
            kind = k
            break
    if kind == "missed" and not G["qa"]["missed"]: kind = "qa"
    room = total - 10
    made = None
    if kind == "qa":
        made = asked(r, room, to_answer, m["none"], G["held" if mix == "held" else "qa"])
    elif kind == "missed":
        made = missed(r, room, G["qa"])
    elif kind == "frame":
        made = frame(r, room, to_answer, m["none"], *G["held-frames" if mix == "held-frames" else "frames"])
    elif kind == "fact":
        made = chain(r, room, to_answer) if r.random() < 0.2 else fact(r, room, m["none"])
    elif kind == "recurring":
        made = recurring(r, room, m["none"], c)
    elif kind == "cloze":
        made = cloze(r, room, m["none"], c)
    elif r.random() < 0.35:
        made = passages(r, room, G["qa"])
    q, blocks, ans, room = made or (None, [], None, room)
    if q is not None and not mix.startswith("held") and r.random() < 0.3:
        q = np.array([t for t in q if r.random() > 0.12] or q, np.uint16)
    seq = spread_out(r, blocks, room, c)
    out, key = np.zeros(total, np.uint16), np.zeros(total, np.uint8)
    n, nq = 1, 0 if q is None else len(q)
    if to_answer and q is not None:
        out[1] = Q; out[2:2 + nq] = q; out[2 + nq] = CTX
        n = nq + 3
    cs, behind = n, 0 if to_answer or q is None else nq + 2
    known, laid = False, []
    for g, ids, text in seq:
        if n + len(ids) + behind > total:
            break
        out[n:n + len(ids)] = ids
        if g:
            key[n:n + len(ids)] |= EVIDENCE
            sp = span(text, ans[1], ans[0]) if ans and to_answer and text is not None else None
            if sp:
                key[n + sp[0]] |= START; key[n + sp[1] - 1] |= END
                known = True
        laid.append((n, ids))
        n += len(ids)
    row0, nrow = n, behind
    if behind:
        out[n] = Q; out[n + 1:n + 1 + nq] = q; out[n + 1 + nq] = A
        n += nrow
    if q is not None and not key.any():
        key[0] = EVIDENCE | START | END
        known = True
    meta = (row0, nrow, n, cs, known, q is not None)
    if to_answer:
        return out, key, meta
    owner, words_count = np.full(total, NOBODY, np.uint8), np.zeros(total, np.float16)
    scores = keep.score_words(G["tok"].decode(q.tolist()), G["tok"].decode_batch([ids.tolist() for _, ids in laid])) if q is not None else [0] * len(laid)
    for i, ((at, ids), score) in enumerate(zip(laid[:NOBODY], scores)):
        owner[at:at + len(ids)], words_count[at:at + len(ids)] = i, score
    return out, key, meta, owner, words_count


def make(args):
    """Writes a part of a pool to memory-backed files and returns its name: the parts need not go through a pipe."""
    seed, count, total, to_answer, mix = args
    r = random.Random(seed)
    columns = list(zip(*(sample(r, total, to_answer, mix) for _ in range(count))))
    name = f"/dev/shm/windows-{os.getpid()}-{seed}-{total}-{mix}.npz"
    np.savez(name, *(np.stack([np.asarray(x) for x in c]) for c in columns))
    return name


def pool_samples(pool, count, total, to_answer, mix, seed=0, per=500):
    """Starts the work; .get() gives the names of the parts."""
    return pool.map_async(make, [((seed + total) * 100003 + i, per, total, to_answer, mix) for i in range(max(1, count // per))], chunksize=1)


def join(names):
    parts = []
    for n in names:
        with np.load(n) as z:
            parts.append([z[k] for k in z.files])
        os.remove(n)
    return [np.concatenate(column) for column in zip(*parts)]
