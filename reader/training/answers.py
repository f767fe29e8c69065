"""Answers from final caches, and whether they are right."""
import re
from math import exp, log
import torch
from keep import fuse, keep, lexical
from quantized import dev

BOS, Q, CTX = 0, 2, 5
LONGEST = 64      # tokens of an answer
AT_ONCE = 128
TIE, TIE_BEFORE_AND, CUT_SHORT = 0.5, 6, 6   # as in workers/answer/span.ts
GOES_ON = re.compile(r"\s(?:and|or)\b")
CLOSES, JOINS = re.compile(r"[.,;:!?…)\]。，、；：！？]|\s*$"), re.compile(r"[,，、]|\b(?:and|or)\b")
SPARE = 12        # words around the right answer that still count as giving it


def words_of(text):
    return re.sub(r"\b(a|an|the)\b", " ", re.sub(r"[\W_]", " ", text.lower())).split()


def right(given, answers):
    """Whether it says one of the answers word for word, and not much more."""
    has = words_of(given)
    for answer in answers:
        w = words_of(answer)
        if len(has) <= len(w) + SPARE and any(has[i:i + len(w)] == w for i in range(len(has) - len(w) + 1)):
            return True
    return False


def whole_words(tok, ids, x, y):
    """Widens a span of tokens until no word is cut."""
    t = [tok.decode([i]) for i in ids]
    while y + 1 < len(ids) and t[y][-1:].isalnum() and t[y + 1][:1].isalnum(): y += 1
    while x > 0 and t[x][:1].isalnum() and t[x - 1][-1:].isalnum(): x -= 1
    return x, y


def clause_end(tok, ids, owner, end, x, y):
    """The last token of a span x … y that is widened, where its end is nearly a tie between words of a list."""
    if y - x >= CUT_SHORT: return y
    chosen, last = y, max(k for k in range(y, len(ids)) if owner[k] == owner[y])
    lowest = end[y] - (TIE_BEFORE_AND if GOES_ON.match(tok.decode(ids[y + 1:last + 1])) else TIE)
    for at in range(y + 1, last + 1):
        if end[at] >= lowest and JOINS.search(tok.decode(ids[x:at + 1])) and CLOSES.match(tok.decode(ids[at + 1:last + 1])):
            chosen = at
    return chosen


@torch.no_grad()
def standings(scorer, cache, asked, counts, lexical_weight):
    """How each sentence of the evidence [C, S] stands, the scan read again over it alone (shared/selection.ts), words counted as `counts` of the whole text say; asked [C] -> [C, S]."""
    table = scorer.table
    times, length = table.times(cache, asked), table.words[cache.clamp(min=0)] * (cache >= 0)
    words = lexical(times, torch.zeros_like(times, dtype=torch.float), length, *counts)
    return fuse(scorer.mass(cache, asked), words, lexical_weight)


@torch.no_grad()
def odds(model, table, evidence, questions):
    """
    Log odds of each sentence of the evidence [C, S] against "not answered here", the answer model reading consecutive ones together, as many as it
    takes (workers/answer/shortlist.ts) -> [C, S] on the CPU.
    """
    out = torch.full(evidence.shape, -20.0)
    jobs = []
    for c, row in enumerate(evidence.tolist()):
        room, part, n = model.longest - 3 - len(questions[c]), [], 0
        for place, k in enumerate(row):
            if k < 0: continue
            size = len(table.ids[k])
            if n + size > room and part: jobs.append((c, part)); part, n = [], 0
            part.append(place); n += size
        if part: jobs.append((c, part))
    rows = evidence.tolist()
    tokens = lambda c, part: sum((table.ids[rows[c][p]] for p in part), [])
    jobs.sort(key=lambda j: len(j[1]))
    for i in range(0, len(jobs), AT_ONCE):
        some = jobs[i:i + AT_ONCE]
        logits = scores(model, [([BOS, Q, *questions[c], CTX] + tokens(c, part))[:model.longest] for c, part in some])
        for (c, part), l in zip(some, logits):
            at = len(questions[c]) + 3
            for place in part:
                size = len(table.ids[rows[c][place]])
                if size and at < len(l): out[c, place] = torch.logsumexp(l[at:at + size, 2], 0) - l[0, 2]
                at += size
    return out


def scores(model, seqs):
    """Logits [B, T, 3] on the CPU, T rounded up so that few shapes occur."""
    T = min(model.longest, -(-max(map(len, seqs)) // 64) * 64)
    ids, mask = torch.zeros(len(seqs), T, dtype=torch.long), torch.zeros(len(seqs), T, dtype=torch.bool)
    for k, x in enumerate(seqs):
        ids[k, :len(x)] = torch.tensor(x)
        mask[k, :len(x)] = True
    return model(ids.to(dev), mask.to(dev)).float().cpu()


@torch.no_grad()
def shortlist(model, scorer, evidence, asked, counts, questions, settings, answer_settings):
    """The sentences to answer from [C, S], -1 elsewhere: the best `cache_tokens` of the evidence, which stands in the order of the text."""
    table = scorer.table
    standing = standings(scorer, evidence, asked, counts, settings["lexical_weight"])
    score = odds(model, table, evidence, questions).to(dev) + answer_settings["shortlist_weight"] * standing
    few = (table.tokens[evidence.clamp(min=0)] * (evidence >= 0)).sum(1) <= settings["cache_tokens"]
    return evidence.masked_fill(~(few[:, None] | keep(score, evidence, table, settings["cache_tokens"])), -1)


@torch.no_grad()
def answers(model, tok, table, cache, questions, standing, settings):
    """cache [C, S] of sentences, -1 for none; questions: C token lists; standing [C, S]; settings as in shared/answer.ts -> C texts, confidences, and the sentence
    that each stands in."""
    standing = standing.cpu()
    numbers = [[k for k in row if k >= 0] for row in cache.tolist()]
    held = [[table.ids[k] for k in row] for row in numbers]
    places = [[i for i, k in enumerate(row) if k >= 0] for row in cache.tolist()]
    out = []
    for i in range(0, len(held), AT_ONCE):
        part, asked = held[i:i + AT_ONCE], questions[i:i + AT_ONCE]
        seqs = [([BOS, Q, *q, CTX] + sum(h, []))[:model.longest] for h, q in zip(part, asked)]
        logits = scores(model, seqs)
        for h, q, x, l, among, at_places, which in zip(part, asked, seqs, logits, standing[i:i + AT_ONCE], places[i:i + AT_ONCE], numbers[i:i + AT_ONCE]):
            at = len(q) + 3
            n = len(x) - at
            if n <= 0:
                out.append(("", 0.0, -1))
                continue
            owner = torch.tensor([k for k, s in enumerate(h) for _ in s][:n])
            start, end = l[at:at + n, 0], l[at:at + n, 1]
            p = torch.cat([l[:1, 2], l[at:at + n, 2]]).softmax(0)[1:]
            share = torch.zeros(len(h)).index_add_(0, owner, p)
            likely = ((share + 1e-4).log() + settings["standing_weight"] * among[at_places]).log_softmax(0)
            length = torch.arange(n)[None] - torch.arange(n)[:, None] + 1
            cost = settings["length_penalty"] * (length - settings["free_tokens"]).clamp(min=0)
            score = (start + likely[owner])[:, None] + end[None] - cost
            allowed = torch.ones(n, n, dtype=torch.bool).triu().tril(LONGEST - 1) & (owner[None] - owner[:, None] <= 1)
            first, last = divmod(score.masked_fill(~allowed, -1e9).argmax().item(), n)
            flat = x[at:]
            last = clause_end(tok, flat, owner, end, first, last)
            first, last = whole_words(tok, flat, first, last)
            nowhere = float((1 - p.sum()).clamp(1e-6, 1 - 1e-6))
            confidence = 1 / (1 + exp((settings["bias"] - log((1 - nowhere) / nowhere)) / settings["temperature"]))
            out.append((tok.decode(flat[first:last + 1]).strip(), confidence, which[owner[first]]))
    return out
