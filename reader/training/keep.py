"""What stays of a window (shared/scan/keep.ts, shared/lexical.ts, shared/selection.ts), for many windows at a time on one device.

Sentences are numbers into a table; a window is a row of them, -1 behind the last.
"""
import re
from collections import Counter
from math import log
import torch
from quantized import dev

RUN = re.compile(r"[^\W_]+")
UNSPACED = re.compile(r"[\u3041-\u30ff\u31f0-\u31ff\u2e80-\u2fd5\u3005\u3007\u3021-\u3029\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\u0e01-\u0e5b]")
K1, B, FLOOR = 1.0, 0.5, 0.001
NEAR, REACH = 0.5, 3   # what a word of a neighbouring sentence counts, and how many sentences away it may stand
ENDINGS = [(re.compile(p), by) for p, by in ((r"ies$", "y"), (r"(ss|sh|ch|x|z)es$", r"\1"), (r"([^sui])s$", r"\1"))]
SUFFIX, DOUBLE = re.compile(r"^(.*[aeiouy].*)(?:ing|(?<!e)ed)$"), re.compile(r"(?<=..)([^aeioulsz])\1$")


def stem(word):
    """The word without the endings of plural, past and participle: as shared/stem.ts."""
    if len(word) < 4 or not word.isascii() or word[-1] not in "sdgye":
        return word
    for ending, by in ENDINGS:
        cut, changed = ending.subn(by, word)
        if changed:
            word = cut
            break
    m = SUFFIX.match(word)
    if word.endswith("ied") and len(word) > 4: word = word[:-3] + "y"
    elif m and len(m[1]) > 2: word = DOUBLE.sub(r"\1", m[1])
    if word.endswith("ly") and len(word) > 5: word = word[:-2]
    if word.endswith("e") and len(word) > 3: word = word[:-1]
    return word[:-1] + "i" if word.endswith("y") and len(word) > 3 else word


def words(text):
    """Stems of the runs of letters and digits in lower case; writing without spaces in pairs of characters."""
    out = []
    for run in RUN.findall(text.lower()):
        if UNSPACED.search(run) and len(run) > 1:
            out += [run[i:i + 2] for i in range(len(run) - 1)]
        else:
            out.append(stem(run))
    return out


def score_words(question, sentences, neighbours=True, text=None):
    """What `lexical` gives the sentences of one window, in plain Python; `text` is all that was read so far, the window itself by default."""
    asked = set(words(question))
    bags = [words(t) for t in sentences]
    found = [Counter(w for w in bag if w in asked) for bag in bags]
    read = bags if text is None else [words(t) for t in text]
    holding = Counter(w for bag in read for w in asked & set(bag))
    n, mean = len(read), max(1, sum(map(len, read)) / max(1, len(read)))
    rarity = {w: log(1 + (n - k + 0.5) / (k + 0.5)) for w, k in holding.items()}
    out = []
    for i, (bag, f) in enumerate(zip(bags, found)):
        norm = K1 * (1 - B + B * len(bag) / mean)
        score = sum(rarity[w] * k * (K1 + 1) / (k + norm) for w, k in f.items())
        if neighbours:
            near = {}
            for d in range(REACH, 0, -1):
                for j in (i - d, i + d):
                    if 0 <= j < n: near.update(dict.fromkeys(found[j], 1 / d))
            score += NEAR * sum(rarity[w] * x for w, x in near.items() if w not in f)
        out.append(score)
    return out


class Sentences:
    """A table of sentences: tokens one after the other, and how often each holds the questions' words (as `words` makes them)."""

    def __init__(s, texts, tok, questions, words=words):
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


def nearness(times):
    """1 / the distance to the nearest sentence of the window that holds a word, where the sentence itself lacks it: times [M, S, J] -> [M, S, J]."""
    has = (times > 0).float()
    near = torch.zeros_like(has)
    for d in range(1, min(REACH, has.shape[1] - 1) + 1):
        near[:, d:] = torch.maximum(near[:, d:], has[:, :-d] / d)
        near[:, :-d] = torch.maximum(near[:, :-d], has[:, d:] / d)
    return near * (1 - has)


def lexical(times, near, length, holding, sentences, read, k1=K1, b=B):
    """BM25 with the counts so far, and a share of it for words next door: times, near [M, S, J], length [M, S] in words; holding [M, J], sentences [M], read [M] words -> [M, S]."""
    rarity = torch.log(1 + (sentences[:, None] - holding + 0.5) / (holding + 0.5))
    mean = (read / sentences.clamp(min=1)).clamp(min=1)
    norm = k1 * (1 - b + b * length / mean[:, None])
    times = times.float()
    return (rarity[:, None] * (times * (k1 + 1) / (times + norm[..., None]) + NEAR * near)).sum(-1)


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
    smallest = tokens.masked_fill(~real, 2 ** 30).flip(1).cummin(1)[0].flip(1)   # of those from here on
    for r in range(most):
        if r % 8 == 7 and bool((used + smallest[:, r] > budget).all()): break
        fits = (used + tokens[:, r] <= budget) | ~any_kept
        twin = (kept[:, :r] & (same[:, :r] == same[:, r:r + 1])).any(1) if r else ~fits & fits
        kept[:, r] = real[:, r] & fits & ~twin
        used = used + tokens[:, r] * kept[:, r]
        any_kept = any_kept | kept[:, r]
    return torch.zeros_like(window, dtype=torch.bool).scatter(1, order, kept)


def fuse(mass, bm25, weight):
    return torch.log(mass.clamp(min=0) + FLOOR) + weight * bm25
