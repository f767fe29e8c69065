"""What stays of a window (shared/scan/keep.ts, shared/lexical.ts, shared/selection.ts), for many windows at a time on one device.

Sentences are numbers into a table; a window is a row of them, -1 behind the last.
"""
import re
import torch
from quantized import dev

RUN = re.compile(r"[^\W_]+")
UNSPACED = re.compile(r"[\u3041-\u30ff\u31f0-\u31ff\u2e80-\u2fd5\u3005\u3007\u3021-\u3029\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\u0e01-\u0e5b]")
K1, B, FLOOR = 1.2, 0.75, 0.001


def words(text):
    """Runs of letters and digits in lower case; writing without spaces in pairs of characters."""
    out = []
    for run in RUN.findall(text.lower()):
        if UNSPACED.search(run) and len(run) > 1:
            out += [run[i:i + 2] for i in range(len(run) - 1)]
        else:
            out.append(run)
    return out


class Sentences:
    """A table of sentences: tokens one after the other, and how often each holds the questions' words."""

    def __init__(s, texts, tok, questions):
        ids = [e.ids for e in tok.encode_batch(texts, add_special_tokens=False)]
        s.texts, s.ids = texts, ids
        s.tokens = torch.tensor([len(x) for x in ids], device=dev)
        s.start = s.tokens.cumsum(0) - s.tokens
        s.flat = torch.tensor([t for x in ids for t in x], device=dev)
        same = {}
        s.same = torch.tensor([same.setdefault(t.strip(), i) for i, t in enumerate(texts)], device=dev)
        asked = [list(dict.fromkeys(words(q))) for q in questions]
        column = {w: i for i, w in enumerate(dict.fromkeys(w for q in asked for w in q))}
        s.columns = len(column) + 1   # the last one stays empty: the padding of `terms`
        s.terms = torch.full((len(questions), max(map(len, asked))), len(column), device=dev)
        for i, q in enumerate(asked):
            s.terms[i, :len(q)] = torch.tensor([column[w] for w in q], device=dev)
        s.words, at, times = [], [], []
        for i, t in enumerate(texts):
            ws = words(t)
            s.words.append(len(ws))
            found = {}
            for w in ws:
                if w in column:
                    found[column[w]] = found.get(column[w], 0) + 1
            for k, n in found.items():
                at.append(i * s.columns + k)
                times.append(min(n, 127))
        s.words = torch.tensor(s.words, device=dev)
        holds = torch.zeros(len(texts) * s.columns, dtype=torch.int8)
        holds[torch.tensor(at, dtype=torch.long)] = torch.tensor(times, dtype=torch.int8)
        s.holds = holds.to(dev)

    def times(s, window, question):
        """window [M, S], question [M] -> how often each sentence holds each of the question's words [M, S, J]."""
        at = window.clamp(min=0)[..., None] * s.columns + s.terms[question][:, None]
        return s.holds[at] * (window >= 0)[..., None]


def lexical(times, length, holding, sentences, read):
    """BM25 with the counts so far: times [M, S, J], length [M, S] in words; holding [M, J], sentences [M], read [M] words -> [M, S]."""
    rarity = torch.log(1 + (sentences[:, None] - holding + 0.5) / (holding + 0.5))
    mean = (read / sentences.clamp(min=1)).clamp(min=1)
    norm = K1 * (1 - B + B * length / mean[:, None])
    times = times.float()
    return (rarity[:, None] * times * (K1 + 1) / (times + norm[..., None])).sum(-1)


def keep(score, window, table, budget):
    """The best sentences within `budget` tokens, each text once, the best one always: score [M, S], window [M, S] -> kept [M, S] bool."""
    real = window >= 0
    most = int(real.sum(1).max())
    order = score.masked_fill(~real, float("-inf")).argsort(dim=1, descending=True, stable=True)[:, :most]
    ranked = window.gather(1, order)
    real = ranked >= 0
    tokens, same = table.tokens[ranked.clamp(min=0)], table.same[ranked.clamp(min=0)]
    kept = torch.zeros_like(real)
    used, any_kept = torch.zeros_like(tokens[:, 0]), torch.zeros_like(real[:, 0])
    for r in range(most):
        fits = (used + tokens[:, r] <= budget) | ~any_kept
        twin = (kept[:, :r] & (same[:, :r] == same[:, r:r + 1])).any(1) if r else ~fits & fits
        kept[:, r] = real[:, r] & fits & ~twin
        used = used + tokens[:, r] * kept[:, r]
        any_kept = any_kept | kept[:, r]
    return torch.zeros_like(window, dtype=torch.bool).scatter(1, order, kept)


def fuse(mass, bm25, weight):
    return torch.log(mass.clamp(min=0) + FLOOR) + weight * bm25
