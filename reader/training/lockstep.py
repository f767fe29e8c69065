"""Scans of many (text, question) pairs side by side, as shared/scan does them one by one: sequential and tournament."""
import torch
from keep import fuse, keep, lexical, nearness
from quantized import dev

BOS, Q, A = 0, 2, 3
AT_ONCE = 64   # windows in one pass of the model: one shape, compiled once
CACHED, NEW, MORE = 112, 176, 224   # most sentences of a cache, of what a window reads, and of the evidence beyond the cache


class Scorer:
    """Attention mass of every sentence of many windows. `questions` are token lists."""

    def __init__(s, scan, table, questions, longest):
        s.scan, s.table, s.tokens = scan, table, longest
        s.tail_length = torch.tensor([len(q) + 2 for q in questions], device=dev)
        s.tail = torch.zeros(len(questions), 58, dtype=torch.long, device=dev)
        for i, q in enumerate(questions):
            s.tail[i, :len(q) + 2] = torch.tensor([Q, *q, A])
        s.passes = 0

    def mass(s, window, question):
        """window [M, S] sentences, question [M] -> [M, S]."""
        M, S = window.shape
        out = torch.empty(M, S, device=dev)
        for i in range(0, M, AT_ONCE):
            w, q = window[i:i + AT_ONCE], question[i:i + AT_ONCE]
            short = AT_ONCE - len(w)
            if short:
                w, q = torch.cat([w, w[:1].expand(short, S)]), torch.cat([q, q[:1].expand(short)])
            ids, rows, owner = s.lay_out(w, q)
            importance = s.scan(ids, rows)
            sums = torch.zeros(AT_ONCE, S + 1, device=dev).scatter_add_(1, owner, importance)
            out[i:i + AT_ONCE] = sums[:AT_ONCE - short, :S]
        s.passes += M
        return out

    def lay_out(s, window, question):
        """-> ids [M, T], rows of the question [M, R] with -1 behind, whose sentence each token is [M, T] with S for nobody's."""
        M, S = window.shape
        table, T = s.table, s.tokens
        tokens = table.tokens[window.clamp(min=0)] * (window >= 0)
        ends = tokens.cumsum(1)
        total = ends[:, -1:]
        at = torch.arange(-1, T - 1, device=dev).expand(M, T).contiguous()
        owner = torch.searchsorted(ends, at, right=True)
        inside = (at >= 0) & (at < total)
        mine = owner.clamp(max=S - 1)
        first = ends.gather(1, mine) - tokens.gather(1, mine)
        where = table.start[window.gather(1, mine).clamp(min=0)] + at - first
        ids = torch.where(inside, table.flat[where.clamp(0, len(table.flat) - 1)], torch.zeros_like(at))
        behind, length = at - total, s.tail_length[question][:, None]
        tail = s.tail[question].gather(1, behind.clamp(0, s.tail.shape[1] - 1))
        ids = torch.where((behind >= 0) & (behind < length), tail, ids)
        ids[:, 0] = BOS
        row = torch.arange(s.tail.shape[1], device=dev)[None]
        rows = torch.where(row < length, total + 1 + row, -torch.ones_like(row))
        return ids, rows, torch.where(inside, owner, torch.full_like(owner, S))


class Texts:
    """Documents as rows of sentences [C, N], `length` [C] of them, and a question for each [C]; `near` [C, N, J] where it is known."""

    def __init__(s, rows, question, near=None):
        s.near = near
        s.length = torch.tensor([len(r) for r in rows], device=dev)
        s.rows = torch.full((len(rows), max(map(len, rows)) + 1), -1, dtype=torch.int32)
        for i, r in enumerate(rows):
            s.rows[i, :len(r)] = torch.as_tensor(r, dtype=torch.int32)
        s.rows = s.rows.to(dev)
        s.question = torch.as_tensor(question, device=dev)


def in_order(rows, evidence):
    """Sentences [C, S] as they follow in their texts [C, N], a repeated one where it stands first; -1 in front."""
    place = torch.full((len(rows), int(rows.max()) + 1), rows.shape[1], device=dev)
    at = torch.arange(rows.shape[1], device=dev)
    for first, row in zip(place, rows):   # one by one: the whole would not fit
        first.scatter_reduce_(0, row.clamp(min=0).long(), torch.where(row >= 0, at, rows.shape[1]), "amin")
    return evidence.gather(1, place.gather(1, evidence.clamp(min=0)).masked_fill(evidence < 0, -1).argsort(dim=1, stable=True))


def ends_of(rows, length, table):
    """Tokens up to each sentence [C, N + 1], and without end behind the last."""
    tokens = table.tokens[rows.clamp(min=0).long()] * (rows >= 0)
    ends = torch.cat([torch.zeros_like(tokens[:, :1]), tokens.cumsum(1)], 1)
    behind = torch.arange(ends.shape[1], device=dev)[None] > length[:, None]
    return ends.masked_fill(behind, 2 ** 40)


def count_fitting(ends, at, budget):
    """How many sentences from `at` [C] on fit `budget` [C] tokens."""
    target = ends.gather(1, at[:, None]) + budget[:, None]
    return (torch.searchsorted(ends, target, right=True) - 1)[:, 0] - at


def front(rows, most):
    """Places [C, most] of what is not -1, in order, then of the rest; and whether that was enough."""
    order = (rows < 0).to(torch.int8).argsort(dim=1, stable=True)
    return order[:, :most], (rows.gather(1, order[:, most:]) < 0).all()


def sequential(scorer, texts, settings):
    """-> evidence [C, CACHED + MORE] of sentences, -1 where there is none: the final cache in the order of the text, then the runners-up, best first;
    and the counts that `lexical` takes, of the whole text."""
    table, C = scorer.table, len(texts.rows)
    ends = ends_of(texts.rows, texts.length, table)
    terms = table.terms[texts.question]
    cache = torch.full((C, CACHED), -1, device=dev)
    near = torch.zeros(C, CACHED, terms.shape[1], device=dev)
    more, more_score = torch.full((C, MORE), -1, device=dev), torch.full((C, MORE), float("-inf"), device=dev)
    at = torch.zeros(C, dtype=torch.long, device=dev)
    holding = torch.zeros_like(terms, dtype=torch.float)
    sentences, read, enough = torch.zeros(C, device=dev), torch.zeros(C, device=dev), torch.tensor(True, device=dev)
    while bool((at < texts.length).any()):
        room = settings["window_tokens"] - (table.tokens[cache.clamp(min=0)] * (cache >= 0)).sum(1)
        taken = torch.minimum(count_fitting(ends, at, room).clamp(1, NEW), texts.length - at)
        new = take(texts.rows, at, taken)
        window = torch.cat([cache, new], 1)   # the holes behind the cache are sentences of no tokens
        times, length = table.times(window, texts.question), table.words[window.clamp(min=0)]
        around = torch.cat([near, nearness(times[:, CACHED:])], 1)
        holding = holding + (times[:, CACHED:] > 0).sum(1)
        sentences, read = sentences + taken, read + (length[:, CACHED:] * (new >= 0)).sum(1)
        words = lexical(times, around, length, holding, sentences, read)
        score = fuse(scorer.mass(window, texts.question), words, settings["lexical_weight"])
        kept = keep(score, window, table, settings["cache_tokens"])
        live = (taken > 0)[:, None]
        order, ok = front(window.masked_fill(~kept, -1), CACHED)
        if settings["evidence_tokens"] > settings["cache_tokens"]:
            rivals = torch.cat([window.masked_fill(kept, -1), more], 1)
            best, place = torch.cat([score, more_score], 1).masked_fill(rivals < 0, float("-inf")).topk(MORE, 1)
            ranked = rivals.gather(1, place)
            ranked = ranked.masked_fill(~keep(best, ranked, table, settings["evidence_tokens"] - settings["cache_tokens"]), -1)
            more, more_score = torch.where(live, ranked, more), torch.where(live, best, more_score)
        cache = torch.where(live, window.masked_fill(~kept, -1).gather(1, order), cache)
        near = torch.where(live[..., None], around.gather(1, order[..., None].expand(-1, -1, around.shape[2])), near)
        at, enough = at + taken, enough & ok
    assert bool(enough), "more sentences in a cache than there is room for"
    return torch.cat([cache, more], 1), (holding, sentences, read)


def tournament(scorer, texts, settings):
    """-> evidence and counts as of `sequential`. Windows that read the same for the same question are scored once."""
    table, W, budget = scorer.table, settings["window_tokens"], settings["cache_tokens"]
    evidence = torch.full((len(texts.rows), CACHED + MORE), -1, device=dev)
    rows, length, question, around, who = texts.rows, texts.length, texts.question, None, torch.arange(len(texts.rows), device=dev)
    counts = None
    while len(who):
        window, cell, end, start = windows_of(rows, length, table, W, 1 if counts is None else budget)
        asked = question[cell]
        if counts is None:
            counts, each = first_counts(table, rows, window, cell, end, asked)
            whole = counts
        else:
            each = [c[cell] for c in counts]
        mass, same = mass_once(scorer, window, asked)
        over = torch.zeros_like(length).index_add_(0, cell, torch.ones_like(cell)) == 1
        kept, carried = torch.empty_like(window, dtype=torch.bool), []
        for i in range(0, len(window), CHUNK):
            part = slice(i, i + CHUNK)
            w, times = window[part], table.times(window[part], asked[part])
            near = nearness(times) if around is None else around[cell[part][:, None], (start[part][:, None] + torch.arange(NEW, device=dev)).clamp(max=around.shape[1] - 1)].float() / SCALE
            words = lexical(times, near, table.words[w.clamp(min=0)], *[c[part] for c in each])
            score = fuse(mass[same[part]], words, settings["lexical_weight"])
            kept[part] = keep(score, w, table, budget)
            last = over[cell[part]]
            if last.any(): kept[part] = torch.where(last[:, None], keep(score, w, table, settings["evidence_tokens"]), kept[part])
            carried.append((near[kept[part]] * SCALE).round().to(torch.uint8))
        left = torch.zeros_like(length).index_add_(0, cell, kept.sum(1))
        parts, nears = window[kept].split(left.tolist()), torch.cat(carried).split(left.tolist())
        for i in over.nonzero()[:, 0].tolist():
            evidence[who[i], :len(parts[i])] = parts[i]
        rest = (~over).nonzero()[:, 0]
        if len(rest):
            again = Texts([parts[i].cpu() for i in rest.tolist()], question[rest])
            rows, length, question = again.rows, again.length, again.question
            around = torch.nn.utils.rnn.pad_sequence([nears[i] for i in rest.tolist()], batch_first=True)
        counts, who = [c[rest] for c in counts], who[rest]
    return evidence, whole


SCALE = 6   # halves and thirds as whole numbers
CHUNK = 2048


def take(rows, at, taken):
    """`taken` sentences from `at` on [M, NEW], -1 behind the last."""
    step = torch.arange(NEW, device=dev)[None]
    place = (at[:, None] + step).clamp(max=rows.shape[1] - 1)
    return torch.where(step < taken[:, None], rows.gather(1, place).long(), torch.full_like(place, -1))


def windows_of(rows, length, table, W, least):
    """Windows of all documents, document by document: sentences [M, NEW], the document [M], sentences up to the window's end [M] and start [M]. Those of
    later rounds hold more than `least` tokens and two sentences, or they would eliminate nothing."""
    ends = ends_of(rows, length, table)
    at, starts, takens = torch.zeros_like(length), [], []
    fit = lambda budget: count_fitting(ends, at, torch.full_like(at, budget))
    while bool((at < length).any()):
        atleast = 1 if least == 1 else (fit(least) + 1).clamp(min=2)
        taken = torch.minimum(torch.minimum(fit(W).clamp(min=atleast), length - at), torch.full_like(at, NEW))
        starts.append(at)
        takens.append(taken)
        at = at + taken
    start, taken = torch.stack(starts, 1), torch.stack(takens, 1)
    cell, turn = (taken > 0).nonzero(as_tuple=True)
    start, taken = start[cell, turn], taken[cell, turn]
    window = torch.cat([take(rows[cell[i:i + CHUNK]], start[i:i + CHUNK], taken[i:i + CHUNK]) for i in range(0, len(cell), CHUNK)])
    return window, cell, start + taken, start


def first_counts(table, rows, window, cell, end, asked):
    """What `lexical` needs: of each document as a whole, and of each as far as the end of a window."""
    hold = torch.cat([(table.times(window[i:i + CHUNK], asked[i:i + CHUNK]) > 0).sum(1) for i in range(0, len(window), CHUNK)])
    so_far = hold.cumsum(0)
    first = torch.searchsorted(cell, torch.arange(len(rows), device=dev))
    so_far = so_far - (so_far - hold)[first][cell]
    read = (table.words[rows.clamp(min=0).long()] * (rows >= 0)).cumsum(1)
    each = [so_far.float(), end.float(), read[cell, end - 1].float()]
    last = torch.cat([first[1:], first.new_tensor([len(cell)])]) - 1
    return [c[last] for c in each], each


def mass_once(scorer, window, asked):
    """Mass of the different ones among the windows, and which of them each is."""
    random = torch.Generator().manual_seed(1)
    factor = torch.randint(-2 ** 62, 2 ** 62, (window.shape[1] + 1,), generator=random).to(dev)
    key = ((window + 1) * factor[1:]).sum(1) + (asked + 1) * factor[0]
    different, same = key.unique(return_inverse=True)
    one = torch.zeros_like(different).scatter_(0, same, torch.arange(len(window), device=dev))
    return scorer.mass(window[one], asked[one]), same
