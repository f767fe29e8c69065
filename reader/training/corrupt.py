"""Questions that a passage nearly answers: one name, number or word of a real question changed."""
import re
from synth import STOP

NAME = re.compile(r"[A-Z][\w'-]+(?: (?:of |the |de |van |von )?[A-Z][\w'-]+)*")
NUMBER = re.compile(r"\b\d[\d,.]*\d\b|\b\d\b")
OPPOSITE = {}
for pair in """first last|before after|most least|largest smallest|highest lowest|oldest youngest|earliest latest|more fewer|north south|east west|
northern southern|eastern western|best worst|begin end|began ended|start stop|started stopped|beginning end|increase decrease|increased decreased|
male female|men women|father mother|son daughter|brother sister|king queen|win lose|won lost|buy sell|bought sold|open close|opened closed|
old new|early late|above below|left right|inside outside|public private|major minor|long short|longest shortest|many few|always never|
support oppose|supported opposed|accept reject|accepted rejected|allow forbid|allowed forbidden|include exclude|included excluded|
positive negative|rich poor|strong weak|strongest weakest|fast slow|fastest slowest|cause prevent|caused prevented|gain lose|gained lost|
built destroyed|born buried|arrive leave|arrived left|upper lower|maximum minimum|majority minority|common rare|winter summer|day night""".replace("\n", "").split("|"):
    a, b = pair.split()
    OPPOSITE[a], OPPOSITE[b] = b, a
AUXILIARY = re.compile(r"\b(is|are|was|were|did|does|do|can|could|would|has|have|had|should)\b")


def question(r, asked, passage, answers):
    """The question with one part replaced so that the passage no longer answers it; None when it offers nothing to replace."""
    ways = [names, numbers, opposites, negated]
    r.shuffle(ways)
    if r.random() < 0.6:   # a changed name is the commonest way, and needs a passage that has others
        ways.remove(names); ways.insert(0, names)
    for way in ways:
        other = way(r, asked, passage, answers)
        if other and other != asked:
            return other
    return None


def replaced(text, m, by):
    return text[:m.start()] + by + text[m.end():]


def names(r, asked, passage, answers):
    here = [m for m in NAME.finditer(asked) if m.start() > 0 and m.group().lower() not in STOP]
    low = asked.lower()
    others = {m.group() for m in NAME.finditer(passage) if m.group().split()[0].lower() not in STOP}
    others = sorted(o for o in others if o.lower() not in low and not any(o.lower() in a or a in o.lower() for a in answers))
    return replaced(asked, r.choice(here), r.choice(others)) if here and others else None


def numbers(r, asked, passage, answers):
    here = list(NUMBER.finditer(asked))
    if not here:
        return None
    m = r.choice(here)
    others = sorted({x.group() for x in NUMBER.finditer(passage)} - {m.group()} - answers)
    digits = "".join(r.choice("0123456789") if c.isdigit() and i else c for i, c in enumerate(m.group()))
    return replaced(asked, m, r.choice(others) if others and r.random() < 0.6 else digits)


def opposites(r, asked, passage, answers):
    here = [m for m in re.finditer(r"[a-z]+", asked) if m.group() in OPPOSITE]
    if not here:
        return None
    m = r.choice(here)
    return replaced(asked, m, OPPOSITE[m.group()])


def negated(r, asked, passage, answers):
    m = AUXILIARY.search(asked)
    if not m:
        return None
    if r.random() < 0.5:
        return replaced(asked, m, {"can": "can't"}.get(m.group(), m.group() + "n't"))
    words = asked.split(" ")
    return " ".join(words[:-1] + ["not", words[-1]]) if r.random() < 0.2 else replaced(asked, m, m.group() + r.choice([" not", " never"]))
