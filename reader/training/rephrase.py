"""Questions in other words, by a thesaurus of our own (thesaurus/*.tsv): the same asked differently, or something else asked nearly alike.

A line of words: the word, what means the same in a question, what makes it ask something else; columns by tabs, entries by commas, all of the word's own
grammatical form. A line of patterns: whole questions that ask for the same, separated by " | "; a slot {x} stands for any words.
"""
import functools, glob, os, re
from collections import Counter
from synth import STOP

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "thesaurus")
WORD = re.compile(r"[A-Za-z][a-z]*(?:[-'][a-z]+)*")
ARTICLE = re.compile(r"\b(a|an) $", re.I)
RATES = (0.2, 0.4, 0.7)   # of a question's words that the thesaurus knows; one is drawn for each question
PATTERN = 0.5             # of the questions that one fits


@functools.cache
def words():
    """word -> ([the same], [others])."""
    entries = lambda column: [x.strip() for x in column.split(",") if x.strip()]
    lines = (line.rstrip("\n").split("\t") for path in sorted(glob.glob(f"{FOLDER}/*.tsv")) for line in open(path))
    return {word: (entries(same), entries(other)) for word, same, other in lines}


@functools.cache
def patterns():
    """By the rarest of its words, each pattern that says anything as (regular expression, its group's number); and the groups."""
    groups = [line.strip().split(" | ") for path in sorted(glob.glob(f"{FOLDER}/*.txt")) for line in open(path)]
    fixed = lambda pattern: set(WORD.findall(re.sub(r"\{\w\}", " ", pattern).lower()))
    common = Counter(w for group in groups for p in group for w in fixed(p))
    found = {}
    for number, group in enumerate(groups):
        for p in group:
            if fixed(p) <= STOP: continue   # "What is {x}?" fits anything
            literal = re.escape(p).replace(r"\ ", " ")
            found.setdefault(min(fixed(p), key=lambda w: (common[w], w)), []).append((re.compile(re.sub(r"\\\{(\w)\\\}", r"(?P<\1>.+?)", literal), re.I), number))
    return found, groups


@functools.lru_cache(50_000)
def fitting(question):
    """(number of the group, what stands in the slots) of each pattern that the question fits."""
    found, _ = patterns()
    fits = []
    for w in dict.fromkeys(WORD.findall(question.lower())):
        for pattern, number in found.get(w, ()):
            m = pattern.fullmatch(question)
            if m: fits.append((number, m.groupdict()))
    return fits


def known(text, column):
    """Matches of the words that have an entry in the column; not names."""
    return [m for m in WORD.finditer(text) if (m.group()[0].islower() or m.start() == 0) and words().get(m.group().lower(), ([], []))[column]]


def put(text, m, by):
    """The match replaced, and "a" or "an" before it as what follows needs it."""
    before = ARTICLE.sub(lambda a: a[1][0] + ("n " if by[0].lower() in "aeio" else " "), text[:m.start()])
    return before + (by[0].upper() + by[1:] if m.start() == 0 else by) + text[m.end():]


def same(r, question):
    """The question in other words, or as it was where none are known."""
    fits = fitting(question) if r.random() < PATTERN else None
    if fits:
        number, slots = r.choice(fits)
        question = re.sub(r"\{(\w)\}", lambda m: slots[m[1]], r.choice(patterns()[1][number]))
        question = question[0].upper() + question[1:]
    rate = r.choice(RATES)
    for m in reversed(known(question, 0)):
        if r.random() < rate: question = put(question, m, r.choice(words()[m.group().lower()][0]))
    return question


def other(r, question):
    """The question with one word replaced so that it asks something else; None where none is known."""
    here = known(question, 1)
    if not here: return None
    m = r.choice(here)
    return put(question, m, r.choice(words()[m.group().lower()][1]))
