"""The kinds of training windows: a question, the sentences that answer it or nearly do, and text around them."""
import re
import numpy as np
import corrupt, frames, synth
from build import MAXQ, SHARE, ends_ws, words

JOINED = 0.12   # of the windows of our own facts: two facts of one person or firm

G = {}   # tok, corpus, qa, held, frames, held-frames: set before the worker processes start


def enc(s):
    return np.array(G["tok"].encode(s, add_special_tokens=False).ids, np.uint16)


def span(sentence, start, answer):
    """Token span [a, b) of the answer inside its sentence, or None."""
    answer = answer.strip()
    if start < 0:
        m = re.search(r"(?<!\w)" + re.escape(answer.strip(" .")) + r"(?!\w)", sentence, re.I)
        if not m:
            return None
        start, end = m.span()
    else:
        end = start + len(answer)
    offs = G["tok"].encode(ends_ws(sentence), add_special_tokens=False).offsets
    a = b = None
    for i, (s, e) in enumerate(offs):
        if a is None and e > start:
            a = i
        if s < end:
            b = i + 1
    return (a, b) if a is not None and b is not None and b > a else None


def background(r, c, left):
    out = []
    while left > 20:
        s0 = r.randrange(c.n)
        n = r.choice([1, 2, 4, 8, 16, 32, 64, 200])
        for i in range(s0, min(c.n, s0 + n)):
            L = len(c.ids[i])
            if L > left:
                left -= 7
                break
            out.append((i, c.ids[i]))
            left -= L
    return out


def size(block):
    return sum(len(b[1]) for b in block)


# Every kind gives: question ids or None, blocks of (is evidence, ids, text where the answer may stand), answer as (text, place in its sentence or -1) or None,
# room that is left. `room` counts what the context may still take.


def asked(r, room, to_answer, none_share, qa):
    """A question of the data sets, its passage, and other passages of the same document."""
    names = [n for n in SHARE if n in qa["groups"]]
    src = r.choices(names, [SHARE[n] for n in names])[0]
    p, g, q, a, off, _, text, answers = qa["rows"][r.choice(qa["groups"][src])]
    room -= min(len(q), MAXQ)
    ss, tx = qa["ids"][p], qa["text"][p]
    none = r.random() < (0 if src == "policyqa" else none_share)
    pool = qa["sib"].get(p, [])
    low = a.lower() if a and len(a) > 3 else None
    blocks, ans = [], (a, off) if a and not none else None
    changed = None
    if none and to_answer and src in ("squad_v1.1", "qed_nq", "fairytaleqa") and r.random() < 0.5:
        changed = corrupt.question(r, text, "".join(tx), answers)   # the passage nearly answers what is now asked
        if changed:
            q = enc(" " + changed)
    gold = set() if none else set(g)
    left_out = set(g) if none and not changed else set()
    fits = lambda o, j: not (none and not changed and low and low in qa["text"][o][j].lower())
    if r.random() < (0.5 if to_answer else 0.3):   # as in a cache: the sentences that share most with the question
        bags = qa["words"]
        bag = {w: qa["rare"].get(w, 0) for w in words(changed or text)}
        cand = [(p, j) for j in range(len(ss)) if j not in gold and j not in left_out and fits(p, j)]
        for o in r.sample(pool, min(len(pool), 8)) + [r.randrange(len(qa["ids"])) for _ in range(3)]:
            if o != p: cand += [(o, j) for j in range(len(qa["ids"][o])) if fits(o, j)]
        score = {(o, j): sum(bag[w] for w in bags[o][j] & bag.keys()) / (8 + len(bags[o][j])) + 0.02 * r.random() for o, j in cand}
        cand.sort(key=lambda c: -score[c])
        take = [(p, j) for j in gold]
        left = min(room - 8, r.choice([120, 240, 300, 300, 500])) - sum(len(ss[j]) for j in gold)
        for o, j in cand:
            L = len(qa["ids"][o][j])
            if L <= left:
                take.append((o, j)); left -= L
            elif left < 12:
                break
        blocks.append([(o == p and j in gold, qa["ids"][o][j], qa["text"][o][j] if o == p else None) for o, j in sorted(take)])
        return q[:MAXQ], blocks, ans, (0 if to_answer and r.random() < 0.8 else room - size(blocks[0]))
    lo, hi = 0, len(ss)
    if sum(map(len, ss)) > room - 40 and not none:
        lo, hi = max(0, g[0] - r.randint(0, 5)), min(len(ss), g[-1] + 1 + r.randint(0, 5))
    if r.random() < 0.15 and not none:   # evidence alone, as a cached sentence
        lo, hi = g[0], g[-1] + 1
    keep = r.choice([0.3, 0.5, 1, 1]) if to_answer else 1
    if none and not changed and not to_answer:
        main = []
    else:
        main = [(j in gold, ss[j], tx[j]) for j in range(lo, hi) if j in gold or j not in left_out and fits(p, j) and r.random() < keep]
    while size(main) > room - 8 and main: main.pop(0 if not main[0][0] else -1)
    blocks.append(main)
    room -= size(main)
    if (none and not main) or r.random() < 0.6:
        for k in range(12):
            near = len(pool) > 1 and (k < 3 if none else r.random() < 0.7)
            o = r.choice(pool) if near else r.randrange(len(qa["ids"]))
            L = sum(map(len, qa["ids"][o]))
            if o == p or L > room - 8 or (none and low and low in qa["low"][o]):
                continue
            blk = [(False, i, None) for i in qa["ids"][o]]
            if r.random() < 0.3:  # loose sentences, as in the cache
                blk = [b for b in blk if r.random() < 0.4]
            blocks.append(blk)
            room -= size(blk)
            if room < 60:
                break
    return q[:MAXQ], blocks, ans, room


def missed(r, room, qa):
    """A question that a passage only seems to answer (near-misses/*.jsonl), or as often one of ours or of the data set that it answers."""
    p = r.choice(qa["missed"])
    no, ours = qa["misses"][p]
    ss, tx = qa["ids"][p], qa["text"][p]
    ans, gold = None, -1
    if r.random() < 0.5:
        q = enc(" " + r.choice(no))
    elif ours and r.random() < 0.3:
        question, start, end = r.choice(ours)
        q, ends, at = enc(" " + question), [], 0
        for x in tx:
            at += len(x); ends.append(at)
        gold = next(i for i, e in enumerate(ends) if start < e)
        ans = ("".join(tx)[start:end], start - (ends[gold] - len(tx[gold])))
    else:
        _, g, q, a, off, _, _, _ = qa["rows"][r.choice(qa["of"][p])]
        gold, ans = g[0], (a, off)
    q = q[:MAXQ]
    room -= len(q)
    main = [(j == gold, ids, tx[j]) for j, ids in enumerate(ss)]
    while size(main) > room - 8 and main: main.pop(0 if not main[0][0] else -1)
    return q, [main], ans, room - size(main)


def fact(r, room, none_share):
    """A templated fact among others, half of them of the same kind."""
    s, qq, a, k = synth.needle(r)
    q = enc(" " + qq)[:MAXQ]
    room -= len(q)
    blocks, ans = [], None
    if r.random() >= none_share * 0.67:
        s = s + r.choice([" ", " ", "\n"])
        blocks.append([(True, enc(s), s)])
        room -= size(blocks[0])
        ans = (a, -1)
    for _ in range(r.choice([0, 0, 1, 2, 4, 8])):
        s2, q2, _, _ = synth.needle(r, k if r.random() < 0.5 else None)
        e2 = enc(s2 + " ")
        if q2 != qq and len(e2) < room - 8:
            blocks.append([(False, e2, None)])
            room -= len(e2)
    return q, blocks or [[]], ans, room


def sentence_block(text, marked, holds=None):
    """A block of a text's sentences: all of them evidence if `marked`, or those alone that `holds`, offsets in the text, touches."""
    at, block = 0, []
    for x in synth.sentences(text):
        hit = marked if holds is None else at < holds[1] and at + len(x) > holds[0]
        block.append((hit, enc(x), x if hit else None))
        at += len(x)
    return block


def frame(r, room, to_answer, none_share, facts, files, joints):
    """A fact of our own, among the same said of something else and others of its field; at times two that answer together."""
    at = r.randrange(len(facts))
    at, fact = r.random() < JOINED and frames.joined(r, facts, joints) or (at, facts[at])
    v = frames.values(r, fact)
    template, a = frames.ask(r, fact)
    ends = lambda text: text + r.choice([" ", " ", "\n"])
    texts = [ends(t) for t in frames.texts(fact, v)]
    answer = frames.fill(a, v)
    found = texts[-1].lower().find(answer.lower())
    if found < 0 or len(texts) > 1 and answer.lower() in texts[0].lower(): return None
    again = not to_answer and len(texts) > 1 and r.random() < 0.6   # a second pass asks with the first fact behind the question
    question = frames.fill(template, v) + (" " + texts[0].strip() if again else "")
    blocks, ans = [], (answer, -1)
    if r.random() >= none_share:
        if len(texts) > 1 and not (again and r.random() < 0.5): blocks.append(sentence_block(texts[0], not again and not to_answer))
        blocks.append(sentence_block(texts[-1], True, (found, found + len(answer))))
    else:
        ans, other = None, frames.elsewise(r, fact, v, template)
        if to_answer and len(texts) > 1 and r.random() < 0.6:
            blocks.append(sentence_block(texts[0], False))   # half of a chain is no answer
        elif to_answer and fact.get("no") and r.random() < 0.5:
            question = frames.fill(r.choice(fact["no"]), v)
            blocks += [sentence_block(t, False) for t in texts]
        elif to_answer and other and r.random() < 0.6:
            blocks += [sentence_block(ends(t), False) for t in frames.texts(fact, other)]
    q = enc(" " + question)[:MAXQ]
    room -= len(q) + sum(map(size, blocks))
    lo, hi = files[at]
    for _ in range(r.choice([0, 1, 2, 4, 8] if to_answer else [0, 2, 4, 8, 16])):
        k = at if ans and r.random() < 0.3 else r.randrange(lo, hi)
        w = frames.elsewise(r, fact, v, template) if k == at else frames.values(r, facts[k])
        if k == at and (not ans or not w or len(texts) > 1): continue
        for t in frames.texts(facts[k], w):
            block = sentence_block(ends(t), False)
            if size(block) < room - 8:
                blocks.append(block); room -= size(block)
    return q, blocks or [[]], ans, room


def chain(r, room, to_answer):
    """
    Two facts that answer together. To scan, the question finds the first; a second pass asks with the first behind the question and finds
    the second.
    """
    first, second, question, answer = synth.chained(r)
    again = not to_answer and r.random() < 0.6
    q = enc(" " + question + (" " + first if again else ""))[:MAXQ]
    half = to_answer and r.random() < 0.25   # the first alone is no answer
    blocks = [[(not again and not half, enc(first + " "), None)], [(True, enc(second + " "), second)]]
    if half: blocks.pop()
    elif again and r.random() < 0.5: blocks.pop(0)
    room -= len(q) + sum(map(size, blocks))
    for _ in range(r.choice([0, 2, 4, 8])):
        f, s, _, _ = synth.chained(r)
        e = enc(r.choice([f, s]) + " ")
        if len(e) < room - 8:
            blocks.append([(False, e, None)]); room -= len(e)
    return q, blocks, (answer, -1), room


def cloze(r, room, none_share, c):
    """A question made of a sentence of the text, that sentence among its neighbours."""
    for _ in range(8):
        i = r.randrange(c.n)
        cz = synth.cloze(r, c.sents[i].strip())
        if cz:
            break
    else:
        return None
    q = enc(" " + cz[0])[:MAXQ]
    room -= len(q)
    lo, hi = max(0, i - r.randint(0, 12)), min(c.n, i + 1 + r.randint(0, 12))
    main = [(j == i, c.ids[j], c.sents[j]) for j in range(lo, hi)]
    while size(main) > room - 8 and len(main) > 1:
        main = main[1:] if not main[0][0] else main[:-1]
    ans = (cz[1], -1)
    if r.random() < none_share:
        main, ans = [b for b in main if not b[0]], None
    return q, [main], ans, room - size(main)


def recurring(r, room, none_share, c):
    """A question made of one sentence of a passage; what it asks for stands in another one."""
    for _ in range(6):
        i = r.randrange(c.n)
        places, L = [], 0
        while i < c.n and L + len(c.ids[i]) < room - 70 and len(places) < 24:
            places.append(i); L += len(c.ids[i]); i += 1
        made = synth.recurring(r, [c.sents[j] for j in places])
        if made:
            break
    else:
        return None
    at, question, answer = made
    q = enc(" " + question)[:MAXQ]
    holds = re.compile(r"(?<!\w)" + re.escape(answer) + r"(?!\w)")
    none = r.random() < none_share * 0.5
    main = [(bool(holds.search(c.sents[j])) and not none, c.ids[j], c.sents[j]) for k, j in enumerate(places) if k != at and not (none and holds.search(c.sents[j]))]
    return q, [main], None if none else (answer, -1), room - len(q) - size(main)


def passages(r, room, qa):
    """Text of the passages that questions are asked about, to read."""
    blocks = []
    for _ in range(40):
        block = [(False, i, None) for i in r.choice(qa["ids"])]
        if size(block) > room: break
        blocks.append(block); room -= size(block)
    return None, blocks, None, room


def spread_out(r, blocks, room, c):
    """The blocks in any order, text of elsewhere before, between and behind them."""
    bg = background(r, c, max(0, room - 4)) if room > 24 and (not blocks or r.random() < 0.9) else []
    cuts = sorted(r.randint(0, len(bg)) for _ in blocks)
    r.shuffle(blocks)
    seq, at = [], 0
    for b, cut in zip(blocks, cuts):
        seq += [(False, i, None) for _, i in bg[at:cut]]
        at = cut
        seq += b
    return seq + [(False, i, None) for _, i in bg[at:]]
