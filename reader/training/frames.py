"""Facts of our own (frames/*.jsonl), each with questions of rising distance from its words and questions that it only seems to answer.

A line: `t`, one to three sentences; `v`, its slots, each a list of values or the name of a kind; `q`, groups of an answer `a`, verbatim in the filled text,
and the questions `ask` for it, near ones first; `no`, questions without an answer there. With `t2` the two answer together: `t` leads from the
question to what `t2` speaks of, and the answer stands in `t2`.
"""
import glob, json, os, re, zlib
import synth

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "frames")
HELD = 25   # one fact in so many is kept out of training,
DOCUMENTS_HELD = 8   # and one whole document: the facts of a file that is named so make one, in their order
DOCUMENT = re.compile(r"(?:document|talk)-")
SLOT = re.compile(r"\{(\w+)(?:\.(first|last))?\}")
COUNTRY = "Norway Chile Kenya Portugal Vietnam Canada Morocco Iceland Peru Estonia Ghana Japan Uruguay Greece Nepal Ireland Jordan Slovenia Mexico Finland".split()
ORG = "{l} & Sons|{l} Holdings|{l} Logistics|{A} {N} Ltd|{A}{n} Inc.|the {l} Foundation|{C} Water Works|{l} and {m} LLP|{N}ware|{C} {N} Cooperative|{l} Pharma|{A} {N} Group|Bank of {C}|the {C} Institute".split("|")
DURATION = "three days|six weeks|ten minutes|two years|forty-five minutes|a fortnight|90 days|eighteen months|half an hour|five working days|a decade|72 hours|one semester|four seasons|12 months|nearly an hour".split("|")
WEEKDAY = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()


def org(r):
    cap = synth.cap
    return r.choice(ORG).format(l=r.choice(synth.LAST), m=r.choice(synth.LAST), A=cap(r.choice(synth.ADJ)), N=cap(r.choice(synth.NOUN)), n=r.choice(synth.NOUN), C=r.choice(synth.CITY))


KINDS = {
    "person": lambda r: f"{r.choice(synth.FIRST)} {r.choice(synth.LAST)}", "first": lambda r: r.choice(synth.FIRST), "last": lambda r: r.choice(synth.LAST),
    "city": lambda r: r.choice(synth.CITY), "country": lambda r: r.choice(COUNTRY), "org": org,
    "number": lambda r: str(r.choice([r.randint(2, 99), r.randint(100, 999), r.randint(1000, 9999)])), "small": lambda r: str(r.randint(2, 40)),
    "money": lambda r: r.choice([f"${r.randint(2, 999)}", f"${r.randint(1, 99)},{r.randint(0, 999):03}", f"${r.randint(1, 90)}.{r.randint(0, 99):02}", f"€{r.randint(20, 900)}", f"${r.randint(2, 90)} million", f"{r.randint(5, 900)} euros"]),
    "date": lambda r: r.choice([f"{r.randint(1, 28)} {r.choice(synth.MONTH)} {r.randint(1820, 2031)}", f"{r.choice(synth.MONTH)} {r.randint(1, 28)}, {r.randint(1980, 2031)}"]),
    "day": lambda r: f"{r.choice(synth.MONTH)} {r.randint(1, 28)}", "weekday": lambda r: r.choice(WEEKDAY), "month": lambda r: r.choice(synth.MONTH), "year": lambda r: str(r.randint(1780, 2031)),
    "time": lambda r: r.choice([f"{r.randint(1, 12)}:{r.randint(0, 59):02} {r.choice(['a.m.', 'p.m.'])}", f"{r.randint(0, 23):02}:{r.randint(0, 59):02}"]),
    "duration": lambda r: r.choice(DURATION), "percent": lambda r: r.choice([f"{r.randint(1, 99)}%", f"{r.randint(1, 40)}.{r.randint(1, 9)}%", f"{r.randint(2, 95)} percent"]),
    "code": lambda r: r.choice([f"{''.join(r.sample('ABCDEFGHJKLMNPQRSTUVWXYZ', 2))}-{r.randint(100, 9999)}", f"{r.choice('ABCDEFGHKLMNPRSTVWX')}{r.randint(10, 999)}"]),
    "color": lambda r: r.choice(synth.COLOR), "job": lambda r: r.choice(synth.JOB),
}


def load(held=False):
    """The facts that are trained on, or those kept out. -> (facts, places of each file's facts, what joins them: see `joints`)."""
    facts, files = [], []
    for path in sorted(glob.glob(f"{FOLDER}/*.jsonl")):
        first, name = len(facts), os.path.basename(path)
        whole = DOCUMENT.match(name)
        kept_out = lambda fact: zlib.crc32((name if whole else fact["t"]).encode()) % (DOCUMENTS_HELD if whole else HELD) == 0
        facts += [f for f in map(json.loads, open(path)) if kept_out(f) == held]
        files += [(first, len(facts))] * (len(facts) - first)
    return facts, files, joints(facts)


# What a question that asks for a person or a firm says of them, to stand in another question for their name.
SAID = re.compile(r"(?:Who|Which (\w+)) (?!did |do |does |will |would |could |can |should |else )(.+)\?")


def joints(facts):
    """
    What makes chains of single facts. -> (leads, follows) by kind of slot: of a lead (fact, slot, description) the slot's name is what the
    description asks for; of a follow (fact, slot, question, answer) the question names the slot and asks for something else.
    """
    leads, follows = {"person": [], "org": []}, {"person": [], "org": []}
    for i, fact in enumerate(facts):
        if "t2" in fact: continue
        for slot, kind in fact.get("v", {}).items():
            named = "{" + slot + "}"
            if kind not in ("person", "org") or named not in fact["t"]: continue
            for group in fact["q"]:
                for question in group["ask"]:
                    said = SAID.fullmatch(question)
                    if group["a"] == named and said and named not in question:
                        noun, joint = ("person", "who") if kind == "person" else ("company", "that")
                        leads[kind].append((i, slot, said[2][3:] if said[2].startswith("is the ") else f"the {said[1] or noun} {joint} {said[2]}"))
                    elif named not in group["a"] and named in question and f"{{{slot}." not in question and f"{named}'s" not in question:
                        follows[kind].append((i, slot, question, group["a"]))
    return leads, follows


def renamed(text, names):
    return SLOT.sub(lambda m: "{" + names[m[1]] + (f".{m[2]}" if m[2] else "") + "}", text)


def joined(r, facts, joints):
    """Two facts of one person or firm as a chain. -> (place of the first, fact); None where the draw does not join."""
    leads, follows = joints
    kinds = [k for k in leads if leads[k] and follows[k]]
    if not kinds: return None
    kind = r.choice(kinds)
    (i, slot, said), (j, named, question, answer) = r.choice(leads[kind]), r.choice(follows[kind])
    if i == j: return None
    first, second = facts[i], facts[j]
    names = {s: slot if s == named else f"{s}_of_the_second" for s in second["v"]}
    return i, {
        "t": first["t"], "t2": renamed(second["t"], names),
        "v": {**{names[s]: kind for s, kind in second["v"].items()}, **first["v"]},
        "q": [{"a": renamed(answer, names), "ask": [renamed(question, names).replace("{" + slot + "}", said)]}],
    }


def values(r, fact):
    """One value a slot; no two slots of a kind the same."""
    out = {}
    for slot, kind in fact.get("v", {}).items():
        for _ in range(6):
            value = r.choice(kind) if isinstance(kind, list) else KINDS[kind](r)
            if value not in out.values(): break
        out[slot] = value
    return out


def fill(text, v):
    part = lambda m: v[m[1]] if not m[2] else v[m[1]].split()[0 if m[2] == "first" else -1]
    return SLOT.sub(part, text)


def texts(fact, v):
    """The filled text, or the two of a chain."""
    return [synth.cap(fill(fact[k], v)) for k in ("t", "t2") if k in fact]


def ask(r, fact):
    """A question and its answer, not yet filled."""
    group = r.choice(fact["q"])
    return r.choice(group["ask"]), group["a"]


def elsewise(r, fact, v, question):
    """Values under which the unfilled question reads differently: the same said of something else. None where the question names no slot."""
    for _ in range(4):
        w = values(r, fact)
        if fill(question, w) != fill(question, v): return w
    return None
