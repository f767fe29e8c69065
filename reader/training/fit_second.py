"""
fit_second.py MODEL_FOLDER: how sure an answer must be to need no second look (`again_below`), fitted on facts kept out of training.

Prints, over texts of some 50,000 tokens, the share answered right at each such confidence: of chains, whose two facts answer together, and of
single facts, which a second look can only harm; and how many texts were read twice. Writes nothing.
"""
import os, random, sys
import torch
import build, frames, synth
from answers import right
from fit_scan import parts_of
from keep import Sentences
from lockstep import Scorer, Texts, sequential, tournament
from product import Model, answered, cut, look_again, say
from quantized import dev

TEXTS, TOKENS = 8, 50_000
CHAINS, SINGLE = 24, 16   # in each text, at most
AGAIN = (0.0, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.01)


def around(r, docs):
    """Sentences of any paragraphs."""
    out, left = [], TOKENS * 4   # characters, nearly
    while left > 0:
        text = [build.ends_ws(y) for x in synth.sentences(r.choice(docs)) if x.strip() for y in cut(x)]
        out += text
        left -= sum(map(len, text))
    return out


def written(r, facts, joints, hay):
    """One text -> its sentences, (question, answer, of a chain the sentences of its first fact)."""
    chains, used = [f for f in facts if "t2" in f], set()
    r.shuffle(chains)
    chains = chains[:CHAINS // 2]
    for _ in range(200):
        made = frames.joined(r, facts, joints)
        if made and made[0] not in used and len(chains) < CHAINS:   # a description fits one name
            used.add(made[0])
            chains.append(made[1])
    single = [f for i, f in enumerate(facts) if "t2" not in f and i not in used]
    blocks, asked = [], []
    for fact in chains + r.sample(single, min(SINGLE, len(single))):
        texts, question, answer = parts_of(r, fact)
        blocks += texts
        asked.append((question, answer, [x.strip() for x in texts[0]] if "t2" in fact else None))
    r.shuffle(blocks)
    step = len(hay) // len(blocks)
    return [x for i, b in enumerate(blocks) for x in hay[i * step:(i + 1) * step] + b], asked


@torch.no_grad()
def main():
    model, r = Model(sys.argv[1]), random.Random(6)
    facts, _, joints = frames.load(held=True)
    docs = build.load(os.environ["DATA"])
    made = [written(r, facts, joints, around(r, docs)) for _ in range(TEXTS)]
    numbers = {}
    for text, _ in made:
        for x in text: numbers.setdefault(x, len(numbers))
    asked = [(t, *a) for t, (_, some) in enumerate(made) for a in some]
    rows = [[numbers[x] for x in text] for text, _ in made]
    questions = [q for _, q, _, _ in asked]
    table, ids = Sentences(list(numbers), model.tok, questions), [model.encode(q) for q in questions]
    scorer = Scorer(model.scan, table, ids, model.longest)
    texts = Texts([rows[t] for t, *_ in asked], list(range(len(asked))))
    say(f"{len(rows)} texts, {len(asked)} questions")
    for way, scan in (("sequential", sequential), ("tournament", tournament)):
        picks, first = answered(model, scorer, texts.rows, *scan(scorer, texts, model.settings), texts.question, ids)
        sure = [c for _, c, _ in first]
        which = [i for i, g in enumerate(first) if g[2] >= 0]
        again = dict(zip(which, look_again(model, table, texts, first, which, questions, way)[1]))
        ok = lambda given: [right(g[0], [a]) for g, (_, _, a, _) in zip(given, asked)]
        once, twice = ok(first), ok([again[i] if i in again and again[i][1] > g[1] else g for i, g in enumerate(first)])
        chains = [(g, a) for g, a in zip(first, asked) if a[3]]
        say(f"  {way}: looked for again behind the first fact of a chain: {sum(table.texts[g[2]].strip() in a[3] for g, a in chains) / len(chains):.3f}")
        for below in AGAIN:
            line = []
            for kind, chain in (("chains", True), ("single", False)):
                of = [i for i, a in enumerate(asked) if (a[3] is not None) == chain]
                line.append(f"{kind} right {sum(twice[i] if sure[i] < below else once[i] for i in of) / len(of):.3f} read twice {sum(sure[i] < below for i in of) / len(of):.3f}")
            say(f"  {way} below {below}:", *line)


if __name__ == "__main__":
    main()
