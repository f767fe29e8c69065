"""
fit_scan.py MODEL_FOLDER: what BM25 counts beside attention (`lexical_weight`), and the scan beside the answer model when it picks what to answer
from (`shortlist_weight`), fitted on long texts kept out of training: SQuAD's held-out articles, our held-out facts among the others, the same
asked from afar in other text, and held-out documents of rules and talk.

Prints the share of questions whose sentence is in the evidence, among the tokens picked, and first. Writes nothing.
"""
import glob, os, random, sys, time
import torch
import build, frames, synth
from answers import odds, standings
from scorer import squadlike
from keep import Sentences, keep
from lockstep import CACHED, Scorer, Texts, sequential, tournament
from product import Model, by_words, cut, say, whole_words
from quantized import dev

QUESTIONS = 240
AROUND = 150_000   # tokens of the text that facts asked from afar are scattered over
WHOLE = 10   # facts of one file that are kept out together are a document
LEXICAL, SHORTLIST = (0.3, 0.5, 0.7, 1.0), (0.0, 0.2, 0.5, 0.8, 1.2, 2.0)


def spread(items, n):
    return items if len(items) <= n else [items[i * len(items) // n] for i in range(n)]


def articles(root):
    """-> sentences of one text, (question, sentence that answers) of each."""
    rows = [r for r in squadlike(glob.glob(f"{root}/qa/squad_v1.1.train.jsonl*")[0]) if build.held_out(r)]
    parts = {c: [build.ends_ws(y) for x in synth.sentences(c) for y in cut(x)] for c in dict.fromkeys(r["context"] for r in rows)}
    asked = []
    for r in spread(rows, QUESTIONS):
        at = 0
        for x in parts[r["context"]]:
            at += len(x)
            if r["answer_start"] < at: break
        asked.append((r["question"], x))
    return [x for p in parts.values() for x in p], asked


def parts_of(r, fact):
    """-> sentences of each of the fact's texts, question, answer."""
    v = frames.values(r, fact)
    texts = [[build.ends_ws(x) for x in synth.sentences(t)] for t in frames.texts(fact, v)]
    return texts, *(frames.fill(x, v) for x in frames.ask(r, fact))


def filled(r, fact, far=False):
    """-> sentences of each of the fact's texts, and (question, sentence that answers), None for a chain; the farthest of its questions, or any."""
    if far: fact = {**fact, "q": [{**group, "ask": group["ask"][-1:]} for group in fact["q"]]}
    texts, question, answer = parts_of(r, fact)
    gold = next((x for x in texts[0] if answer.lower() in x.lower()), None)
    return texts, (question, gold) if gold and len(texts) == 1 else None


def facts(root):
    """Facts kept out, each asked about once, among three of each that was not."""
    r = random.Random(3)
    (facts, files, _), others = frames.load(held=True), frames.load()[0]
    held = [f for f, (first, last) in zip(facts, files) if last - first < WHOLE]
    texts, asked = [], []
    for f in held:
        own, question = filled(r, f)
        texts += own
        if question: asked.append(question)
    for f in r.sample(others, min(len(others), 3 * len(held))): texts += filled(r, f)[0]
    r.shuffle(texts)
    return [x for t in texts for x in t], spread(asked, QUESTIONS)


def afar(root):
    """Facts kept out, asked about from afar, scattered over other text."""
    r, texts, asked = random.Random(7), [], []
    for f in frames.load(held=True)[0]:
        own, question = filled(r, f, far=True)
        texts += own
        if question: asked.append(question)
    docs, left = build.load(root), AROUND * 4 - sum(len(x) for t in texts for x in t)   # characters, nearly
    while left > 0:
        texts.append([build.ends_ws(y) for x in synth.sentences(r.choice(docs)) if x.strip() for y in cut(x)])
        left -= sum(map(len, texts[-1]))
    r.shuffle(texts)
    return [x for t in texts for x in t], spread(asked, QUESTIONS)


def documents(root):
    """Documents kept out, one after the other: alone they are too short to lose anything in."""
    r, text, asked = random.Random(4), [], []
    facts, files, _ = frames.load(held=True)
    for first, last in sorted(set(files)):
        if last - first < WHOLE: continue
        for f in facts[first:last]:
            own, question = filled(r, f)
            text += [x for t in own for x in t]
            if question: asked.append(question)
    return text, spread(asked, QUESTIONS)


@torch.no_grad()
def trial(model, name, text, asked):
    numbers = {}
    for x in text: numbers.setdefault(x, len(numbers))
    questions = [q for q, _ in asked]
    table, plain = (Sentences(list(numbers), model.tok, questions, *how) for how in ((), (whole_words,)))
    ids, whole = [model.encode(q) for q in questions], [numbers[x] for x in text]
    gold = torch.tensor([numbers[x] for _, x in asked], device=dev)[:, None]
    scorer = Scorer(model.scan, table, ids, model.longest)
    share = lambda picks: f"{(picks == gold).any(1).float().mean().item():.3f}"
    every = torch.arange(len(asked), device=dev)
    texts = lambda i, j: Texts([whole] * (j - i), list(range(i, j)))
    say(f"{name}: {sum(table.tokens[k].item() for k in whole)} tokens, {len(asked)} questions; BM25 {share(by_words(table, texts(0, len(asked)), model.settings['cache_tokens'], plain))}")
    for weight in LEXICAL:
        for way, scan in (("sequential", sequential), ("tournament", tournament)):
            began, settings = time.time(), {**model.settings, "lexical_weight": weight}
            parts = [scan(scorer, texts(i, min(len(asked), i + 60)), settings) for i in range(0, len(asked), 60)]
            evidence, counts = torch.cat([p[0] for p in parts]), [torch.cat(c) for c in zip(*(p[1] for p in parts))]
            line = [f"evidence {share(evidence)}"] + ([f"cache {share(evidence[:, :CACHED])}"] if way == "sequential" else [])
            evidence = evidence.sort(1)[0]
            standing = standings(scorer, evidence, every, counts, weight)
            answering = odds(model.answer, table, evidence, ids).to(dev)
            for w in SHORTLIST:
                score = (answering + w * standing).masked_fill(evidence < 0, -1e9)
                picks = evidence.masked_fill(~keep(score, evidence, table, settings["cache_tokens"]), -1)
                line.append(f"{w}: {share(picks)} {share(evidence.gather(1, score.argmax(1, keepdim=True)))}")
            say(f"  lexical {weight} {way}", *line, f"{time.time() - began:.1f} s")


if __name__ == "__main__":
    model = Model(sys.argv[1])
    for name, make in (("held-out articles", articles), ("held-out facts", facts), ("held-out facts asked from afar", afar), ("held-out documents", documents)):
        trial(model, name, *make(os.environ["DATA"]))
