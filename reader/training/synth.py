"""Synthetic question/evidence pairs: templated facts ('needles') and cloze-style
pseudo-questions made from a real sentence (inverse cloze)."""
import re

FIRST = "Alice Omar Priya Chen Lucia Ivan Fatima Kofi Ingrid Mateo Yuki Noor Daniel Amara Viktor Leila Hugo Mei Tomas Zara Peter Sofia Rahul Greta Samuel Elena Jamal Nadia Oscar Hana Felix Rosa Anton Dalia Simon Aisha Bruno Carla Emil Freya George Helen Isaac Julia Karim Laura Marcus Nina Oliver Paula Quentin Ruth Stefan Tara Ursula Walter Xenia Yusuf Zoe Arthur Beatrice Colin Diana Edgar Fiona".split()
LAST = "Okafor Lindqvist Moreau Tanaka Alvarez Novak Haddad Fischer Romano Petrov Nguyen Castillo Andersen Kowalski Osei Laurent Brandt Silva Murphy Weiss Ortiz Larsen Dubois Ivanov Khan Sato Reyes Becker Marino Cohen Hughes Schmidt Rossi Bauer Costa Ryan Vega Walsh Young Adler Bishop Carver Dalton Ellis Foster Grant Harlow Irving Jensen Keller".split()
CITY = "Lisbon|Nairobi|Kyoto|Toronto|Cairo|Prague|Lima|Oslo|Mumbai|Dublin|Seoul|Vienna|Havana|Athens|Boston|Zurich|Hanoi|Madrid|Accra|Quito|Berlin|Helsinki|Manila|Dakar|Warsaw|Perth|Chicago|Austin|Denver|Geneva|Naples|Bergen|Porto|Tallinn|Riga|Tunis|Baku|Seville|Krakow".split("|")
ADJ = "red blue silver ancient quiet hidden golden broken frozen narrow wooden velvet crimson hollow amber distant marble rusty gentle copper scarlet ivory emerald dusty silent violet bitter sunny windy foggy clever noble lazy proud brave curious".split()
NOUN = "falcon lantern river orchard bridge compass harbor meadow engine mirror garden tower violin glacier canyon anchor beacon castle desert forest island jungle kettle ladder mountain needle ocean palace quarry ribbon saddle temple umbrella valley windmill archive battery camera dragon eagle feather guitar hammer jacket kitten lemon magnet notebook oyster pencil quilt rocket satellite telescope".split()
THING = "project report invoice contract shipment meeting server database account package ticket order policy license experiment prototype warehouse vehicle laboratory committee budget application device sample recipe".split()
MONTH = "January February March April May June July August September October November December".split()
COLOR = "red blue green yellow purple orange black white silver gold brown pink turquoise".split()
JOB = "engineer|surgeon|carpenter|pilot|teacher|journalist|chemist|lawyer|painter|gardener|librarian|plumber|architect|nurse|baker|detective|farmer|photographer|translator|geologist".split("|")


def cap(s):
    return s[0].upper() + s[1:]


VERB = "repaint|repair|carry|hide|measure|polish|replace|inspect|photograph|rebuild|lock|empty|borrow|deliver|unpack|collect|burn|bury|count|visit|sketch|follow|clean|lower|raise|turn|sell|label|weigh|cover".split("|")
WALK = "walk along the {n}|watch the sunrise from the {a} {n}|drink coffee near the {a} {n}|rent a bicycle and ride to the {n}|listen to jazz in the {a} cellar|visit the {n} museum|take the night ferry past the {n}|buy fresh bread at the {n} market|climb up to the {a} {n}|swim in the lake behind the {n}|share a picnic under the {a} {n}|read the newspaper beside the {n}|feed the ducks at the {n}|order soup in the {a} tavern|row a boat to {C}".split("|")
TAIL = "on a rainy afternoon|before breakfast|after the last train|at dawn|in early spring|during the winter holidays|with three old friends|without telling anyone|every second Sunday|when the tide is low|as soon as the doors open|for at least two hours|until the bells ring|while the shops are closed|on a cold clear night".split("|")
CLAUSE = "the {a} {n} was still under repair|nobody had paid for the {n}|the {n} had been flooded twice|{P} refused to sign the {t}|the {t} contained {num} errors|a {a} {n} blocked the only road|the {n} was cheaper in {C}|the new {t} would not fit into the {n}|{P} had forgotten the {a} {n}|it could no longer hold the weight of the {n}|the people of {C} had voted against it".split("|")
ITEM = "rope|salt|lamp oil|two blankets|a compass|dried fruit|a small mirror|copper wire|matches|a sharp knife|candles|a map of {C}|spare batteries|a first-aid box|chalk|a tin of paint|sandpaper|an umbrella|three notebooks|a {a} {n}".split("|")
FAIL = "disk quota exceeded on volume {num}|connection to {n}-{num} timed out after {num2} ms|certificate for {n}.example has expired|out of memory while parsing {n}.json|missing permission {n}:write|checksum mismatch in block {num}|could not resolve host {a}-{n}|queue {n} is full".split("|")


def fill(r, s):
    return s.format(a=r.choice(ADJ), n=r.choice(NOUN), t=r.choice(THING), C=r.choice(CITY), P=f"{r.choice(FIRST)} {r.choice(LAST)}", num=r.randint(2, 9999), num2=r.randint(10, 90000))


def phrase(r):
    """A verb phrase of 3 to 25 words."""
    def one():
        if r.random() < 0.5:
            return fill(r, r.choice(WALK))
        return f"{r.choice(VERB)} {r.choice(['the', 'every', 'a', 'the old', 'both sides of the'])} {fill(r, r.choice(['{n}', '{a} {n}', '{n} of the {n}', '{a} {t}', '{n} and the {n}', '{t} from {C}']))}"
    s = one()
    x = r.random()
    if x < 0.45:
        s += r.choice([" and ", " and ", " and then ", ", "]) + one()
        if s.count(", ") == 1 and r.random() < 0.7:
            s += " and " + one()
    if r.random() < 0.55:
        s += " " + r.choice(TAIL)
    return s


def clause(r):
    s = fill(r, r.choice(CLAUSE))
    return s + (r.choice([" and ", " and ", ", although "]) + fill(r, r.choice(CLAUSE)) if r.random() < 0.3 else "")


def listing(r):
    xs = [fill(r, x) for x in r.sample(ITEM, r.randint(2, 6))]
    return ", ".join(xs[:-1]) + r.choice([" and ", ", and "]) + xs[-1]


LONG = 40


def long_needle(r, k):
    """Facts whose answer is a whole verb phrase, clause, list or line."""
    P, P2 = (f"{r.choice(FIRST)} {r.choice(LAST)}" for _ in range(2))
    C, A, N, T = r.choice(CITY), r.choice(ADJ), r.choice(NOUN), r.choice(THING)
    v, w, l = phrase(r), clause(r), listing(r)
    code = "".join(r.choice("ABCDEFGHJKLMNPQRSTUVWXYZ23456789") for _ in range(r.randint(4, 8)))
    date = f"{r.choice(MONTH)} {r.randint(1, 28)}"
    stamp = f"2{r.randint(0, 1)}{r.randint(10, 39)}-{r.randint(1, 12):02}-{r.randint(1, 28):02} {r.randint(0, 23):02}:{r.randint(0, 59):02}:{r.randint(0, 59):02}"
    err, n = fill(r, r.choice(FAIL)), r.randint(1, 40)
    opts = [
        [(f"When people come to {C}, they usually {v}.", f"What do people usually do when they come to {C}?", v), (f"When people come to {C}, they usually {v}.", f"What do visitors to {C} usually do?", v)],
        [(f"A favourite pastime in {C} is to {v}.", f"What is a favourite pastime in {C}?", v), (f"The most pleasant way of spending a free day in {C} is to {v}.", f"What is the most pleasant way of spending a free day in {C}?", v)],
        [(f"{P} advised every guest in {C} to {v}.", f"What did {P} advise every guest in {C} to do?", v), (f"Whoever has only one hour in {C} should {v}.", f"What should you do if you have only one hour in {C}?", v)],
        [(f"To open the {A} {N}, you have to {v}.", f"How do you open the {A} {N}?", v), (f"To repair the {A} {N}, {v}.", f"What must be done to repair the {A} {N}?", v)],
        [(f"{P} was dismissed because {w}.", f"Why was {P} dismissed?", r.choice(["because " + w, w])), (f"The {T} was delayed for {n} weeks because {w}.", f"Why was the {T} delayed for {n} weeks?", r.choice(["because " + w, w]))],
        [(f"{P} left {C} since {w}.", f"For what reason did {P} leave {C}?", w), (f"The reason for closing the {A} {N} was that {w}.", f"What was the reason for closing the {A} {N}?", w)],
        [(f"The kit for the {A} {N} contains {l}.", f"What does the kit for the {A} {N} contain?", l), (f"{P} packed {l} for the journey.", f"What did {P} pack for the journey?", l)],
        [(f"- Action: {P} will {v} by {date}.", f"What will {P} do by {date}?", v), (f"ACTION ({P}): {v}.", f"What is the action item of {P}?", v)],
        [(f"{stamp} ERROR job {code} failed: {err}.", f"Why did job {code} fail?", err), (f"[{stamp}] {code}: {err}", f"What does the log say about {code}?", err)],
        [(f"Decision {n}: the committee agreed to {v}.", f"What did the committee agree to in decision {n}?", v), (f"It was resolved in {C} to {v}.", f"What was resolved in {C}?", v)],
        [(f"Warning: never {v} while the {A} {N} is running.", f"What should you never do while the {A} {N} is running?", v), (f"If the {A} {N} begins to shake, {v}.", f"What should you do if the {A} {N} begins to shake?", v)],
        [(f"Step {n} of the {N} procedure: {v}.", f"What is step {n} of the {N} procedure?", v), (f"{n}. {cap(v)}.", f"What is item {n}?", cap(v))],
        [(f"The purpose of the {A} {N} is to {v}.", f"What is the purpose of the {A} {N}?", v), (f"The {A} {N} was made in order to {v}.", f"What was the {A} {N} made for?", r.choice(["in order to " + v, "to " + v, v]))],
        [(f"{P} promised {P2} to {v}.", f"What did {P} promise {P2}?", r.choice(["to " + v, v])), (f"{P} told {P2} that {w}.", f"What did {P} tell {P2}?", r.choice(["that " + w, w]))],
        [(f"{P} objected that {w}.", f"What was the objection of {P}?", w), (f"In the end {P} learned that {w}.", f"What did {P} learn in the end?", r.choice(["that " + w, w]))],
        [(f"{cap(A)} {N}: {l}", f"What is listed under {A} {N}?", l), (f"* {cap(N)} ({C}): {l}", f"What is listed for {N} in {C}?", l)],
        [(f"{N}_{T}_limit = {n}", f"What is {N}_{T}_limit set to?", str(n)), (f"Set `{N}.{T}.mode` to `{A}`.", f"Which value should {N}.{T}.mode have?", A)],
        [(f"As a child, {P} liked to {v}.", f"What did {P} like to do as a child?", v), (f"{P} spent the summer in {C} and learned to {v}.", f"What did {P} learn in {C}?", r.choice(["to " + v, v]))],
        [(f"Write to {A}.{N}@{T}.example about the {C} office.", f"Which address is for the {C} office?", f"{A}.{N}@{T}.example"), (f"The rule of the {A} {N} society reads: \"{cap(v)}.\"", f"What is the rule of the {A} {N} society?", cap(v))],
        [(f"The old {N} of {C} is known for its {A} walls, where {w}.", f"What is the old {N} of {C} known for?", f"its {A} walls"), (f"{P} only agreed after {w}.", f"When did {P} agree?", "after " + w)],
    ]
    return r.choice(opts[k - LONG])


def needle(r, k=None):
    """One (sentence, question, answer, kind). The benchmark phrasings are for testing only and have no template here."""
    if k is None:
        k = r.randrange(LONG, LONG + 20) if r.random() < 0.55 else r.randrange(3, 27)
    if k >= LONG:
        return (*long_needle(r, k), k)
    P = f"{r.choice(FIRST)} {r.choice(LAST)}"
    C, A, N, T = r.choice(CITY), r.choice(ADJ), r.choice(NOUN), r.choice(THING)
    N2 = r.choice(NOUN)
    num = r.choice([str(r.randint(2, 99)), str(r.randint(100, 9999)), str(r.randint(10000, 9999999))])
    code = "".join(r.choice("ABCDEFGHJKLMNPQRSTUVWXYZ23456789") for _ in range(r.randint(4, 8)))
    date = f"{r.choice(MONTH)} {r.randint(1, 28)}, {r.randint(1850, 2031)}"
    year = str(r.randint(1780, 2031))
    col, job = r.choice(COLOR), r.choice(JOB)
    opts = {
        3: [(f"{P} works as a {job} in {C}.", f"What is {P}'s job?", job), (f"{P} works as a {job} in {C}.", f"Where does {P} work?", C)],
        4: [(f"{P} was born in {C} on {date}.", f"When was {P} born?", date), (f"{P} was born in {C} on {date}.", f"In which city was {P} born?", C)],
        5: [(f"The {A} {N} was built in {year} by {P}.", f"Who built the {A} {N}?", P), (f"The {A} {N} was built in {year} by {P}.", f"In what year was the {A} {N} built?", year)],
        6: [(f"The {T} number {num} was approved on {date}.", f"When was {T} number {num} approved?", date)],
        7: [(f"{P} keeps the spare key inside the {A} {N}.", f"Where does {P} keep the spare key?", f"inside the {A} {N}")],
        8: [(f"The secret ingredient of the {A} {N} sauce is {N2} powder.", f"What is the secret ingredient of the {A} {N} sauce?", f"{N2} powder")],
        9: [(f"The {T} called {cap(A)} {cap(N)} cost {num} dollars.", f"How much did the {T} called {cap(A)} {cap(N)} cost?", f"{num} dollars"),
            (f"They paid {num} dollars for the {T} named {cap(A)} {cap(N)}.", f"What was the price of the {T} {cap(A)} {cap(N)}?", f"{num} dollars")],
        10: [(f"{P}'s favourite color is {col}.", f"What color does {P} like most?", col)],
        11: [(f"After the flood, the headquarters moved from {C} to the old {N} factory.", "Where did the headquarters move after the flood?", f"the old {N} factory")],
        12: [(f"The tallest {N} in {C} is {num} feet high.", f"How high is the tallest {N} in {C}?", f"{num} feet")],
        13: [(f"The meeting about the {A} {N} will take place on {date} in {C}.", f"When will the meeting about the {A} {N} take place?", date),
             (f"The meeting about the {A} {N} will take place on {date} in {C}.", f"Where will the meeting about the {A} {N} be held?", C)],
        14: [(f"{P} discovered the {A} {N} while travelling through {C}.", f"Who discovered the {A} {N}?", P)],
        15: [(f"The password for the {T} system is {A}-{N}-{num}.", f"What is the password for the {T} system?", f"{A}-{N}-{num}")],
        16: [(f"The {N} club of {C} has {num} members.", f"How many members does the {N} club of {C} have?", num)],
        17: [(f"{P} married {r.choice(FIRST)} {r.choice(LAST)} in {year}.", f"In which year did {P} marry?", year)],
        18: [(f"The emergency phone number of the {C} office is {r.randint(200, 999)}-{r.randint(1000, 9999)}.", f"What is the emergency phone number of the {C} office?", None)],
        19: [(f"The server {code} was restarted because of a {A} {N} error.", f"Why was the server {code} restarted?", f"because of a {A} {N} error")],
        20: [(f"The director of the film \"The {cap(A)} {cap(N)}\" is {P}.", f"Who directed The {cap(A)} {cap(N)}?", P)],
        21: [(f"The {N} festival in {C} is held every {r.choice(MONTH)}.", f"In which month is the {N} festival in {C} held?", None)],
        22: [(f"The treasure was buried under the {A} {N} near {C}.", "Where was the treasure buried?", f"under the {A} {N} near {C}")],
        23: [(f"The capital of the kingdom of {cap(A)}{N} is {C}.", f"What is the capital of the kingdom of {cap(A)}{N}?", C)],
        24: [(f"{P} lost the {A} {N} on the train to {C}.", f"What did {P} lose on the train to {C}?", f"the {A} {N}"),
             (f"{P} lost the {A} {N} on the train to {C}.", f"Who lost the {A} {N}?", P)],
        25: [(f"The {T} with the identifier {code} belongs to {P}.", f"Who owns the {T} with the identifier {code}?", P),
             (f"The {T} with the identifier {code} belongs to {P}.", f"What is the identifier of the {T} that belongs to {P}?", code)],
        26: [(f"{num} is the order number of the {T} from {C}.", f"What is the order number of the {T} from {C}?", num),
             (f"{code} opens the gate of the {A} {N}. Do not lose it.", f"What opens the gate of the {A} {N}?", code)],
    }[k]
    s, q, a = r.choice(opts)
    if a is None:
        a = s.rstrip(".").split(" is ")[-1] if k == 18 else s.rstrip(".").split("every ")[-1]
    return s, q, a, k


# Two facts with a name between them: what the first says of whom or what, and what the second says of that.
TO_PERSON = [("The {T} from {C} was signed by {X}.", "who signed the {T} from {C}"), ("{X} repaired the {A} {N} last winter.", "who repaired the {A} {N}"), ("It was {X} who found the {A} {N} near {C}.", "who found the {A} {N}"),
             ("The keeper of the {C} archive is {X}.", "who keeps the {C} archive"), ("In {C} the {T} is led by {X}.", "who leads the {T} in {C}"), ("{X} won the {N} race in {C}.", "who won the {N} race in {C}")]
OF_PERSON = [("{X} was born in {D}.", ["Where was the person {b} born?", "In which city was the one {b} born?"], "{D}"), ("{X} works as a {J}.", ["What is the job of the person {b}?", "What does the person {b} work as?"], "{J}"),
             ("{X} was married in {Y}.", ["In which year did the person {b} marry?", "When was the person {b} married?"], "{Y}"), ("The dog of {X} is called {M}.", ["What is the dog of the person {b} called?", "What is the name of the dog of the person {b}?"], "{M}"),
             ("{X} now lives in {D}.", ["Where does the person {b} live?", "In which city does the one {b} live now?"], "{D}"), ("{X} can be reached at extension {K}.", ["At which extension can the person {b} be reached?", "What is the extension of the person {b}?"], "{K}")]
TO_THING = [("{P} inherited {X}.", "that {P} inherited"), ("{P} left {X} on the train to {C}.", "that {P} left on the train to {C}"), ("The committee of {C} bought {X} in {Y2}.", "that the committee of {C} bought"), ("{X} hangs in the office of {P}.", "that hangs in the office of {P}"),
            ("For the birthday of {P} they chose {X}.", "chosen for the birthday of {P}")]
OF_THING = [("{X} was made in {D}.", ["Where was the thing {b} made?", "In which city was the object {b} made?"], "{D}"), ("{X} weighs {K} grams.", ["How much does the thing {b} weigh?", "What is the weight of the object {b}?"], "{K} grams"),
            ("{X} belonged to {R} before.", ["To whom did the thing {b} belong before?", "Who owned the object {b} before?"], "{R}"), ("{X} is worth {K} dollars.", ["What is the thing {b} worth?", "How much is the object {b} worth?"], "{K} dollars"),
            ("{X} is painted {col}.", ["What color is the thing {b}?", "In which color is the object {b} painted?"], "{col}")]


def chained(r):
    """Two sentences that answer a question only together: (first, second, question, answer in the second)."""
    v = dict(T=r.choice(THING), C=r.choice(CITY), A=r.choice(ADJ), N=r.choice(NOUN), P=f"{r.choice(FIRST)} {r.choice(LAST)}", D=r.choice(CITY), J=r.choice(JOB), Y=r.randint(1880, 2029), Y2=r.randint(1880, 2029), M=r.choice(FIRST),
             K=r.choice([r.randint(2, 99), r.randint(100, 9999)]), R=f"{r.choice(FIRST)} {r.choice(LAST)}", col=r.choice(COLOR))
    person = r.random() < 0.5
    v["X"] = f"{r.choice(FIRST)} {r.choice(LAST)}" if person else f"the {r.choice(ADJ)} {r.choice(NOUN)}"
    first, b = r.choice(TO_PERSON if person else TO_THING)
    second, asks, answer = r.choice(OF_PERSON if person else OF_THING)
    v["b"] = b.format(**v)
    return cap(first.format(**v)), cap(second.format(**v)), r.choice(asks).format(**v), answer.format(**v)


STOP = set("the a an of to in and or for on at by with from as is are was were be been being it its this that these those he she they we you i his her their our your my not but if then so than which who whom whose what when where why how do does did has have had will would can could may might shall should must there here all any some no nor into over under about after before between through during up down out off only own same too very just also such each other more most s t".split())
WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9'\-]*")


def cloze(r, sent, given=None):
    """A pseudo-question about a real sentence: drop an answer span (`given`, offsets in the sentence, where the caller chose it) and some words."""
    toks = list(WORD.finditer(sent))
    if len(toks) < 8 or len(toks) > 45:
        return None
    words = [t.group(0) for t in toks]
    content = [i for i, w in enumerate(words) if w.lower() not in STOP and len(w) > 2]
    if len(content) < 4:
        return None
    nums = [i for i in content if words[i][0].isdigit()]
    caps = [i for i in content if words[i][0].isupper() and i > 0]
    x = r.random()
    if given:
        inside = [i for i, t in enumerate(toks) if t.start() < given[1] and t.end() > given[0]]
        if not inside:
            return None
        a0, a1 = inside[0], inside[-1] + 1
        first = words[a0][0]
        kind = r.choice(["when", "how many", "which"] if first.isdigit() else ["who", "what", "where", "which"] if first.isupper() else ["what", "what", "which"])
        return questioned(r, words, a0, a1, kind), sent[toks[a0].start():toks[a1 - 1].end()]
    if nums and x < 0.35:
        a0 = r.choice(nums); kind = r.choice(["when", "how many", "what number", "which"])
    elif caps and x < 0.75:
        a0 = r.choice(caps); kind = r.choice(["who", "what", "where", "which", "who"])
    else:
        a0 = r.choice(content); kind = r.choice(["what", "what", "how", "which", "why"])
    a1 = a0 + 1
    if words[a0][0].isupper():
        while a1 < len(words) and words[a1][0].isupper() and toks[a1].start() - toks[a1 - 1].end() == 1 and a1 - a0 < 5:
            a1 += 1
        while a0 > 1 and words[a0 - 1][0].isupper() and toks[a0].start() - toks[a0 - 1].end() == 1 and a1 - a0 < 5:
            a0 -= 1
    elif r.random() < 0.4:
        a1 = min(len(words), a1 + r.randint(1, 3))
    q = questioned(r, words, a0, a1, kind)
    return (q, sent[toks[a0].start():toks[a1 - 1].end()]) if q else None


def questioned(r, words, a0, a1, kind):
    """The words without `a0` to `a1` and without some others, as a question; None where too few are left."""
    keep_p = r.uniform(0.35, 0.9)
    left = [i for i in range(len(words)) if i < a0 or i >= a1]
    if r.random() < 0.5:  # keep a contiguous neighbourhood only
        w = r.randint(6, 16)
        left = [i for i in left if abs(i - a0) <= w]
    kept = [words[i] for i in left if (r.random() < keep_p if words[i].lower() not in STOP else r.random() < 0.55)]
    if sum(1 for w in kept if w.lower() not in STOP) < 3:
        return None
    if r.random() < 0.2:
        r.shuffle(kept)
    if r.random() < 0.7:
        kept = [w if w[0].isupper() and i else w for i, w in enumerate(kept)]
        kept[0] = kept[0][0].lower() + kept[0][1:] if kept[0].lower() in STOP else kept[0]
    aux = r.choice(["did ", "was ", "is ", "does ", "", "", "", "were "])
    q = kind + " " + aux + " ".join(kept) + "?"
    return cap(q) if r.random() < 0.8 else q


NAMED = re.compile(r"(?<=[a-z,;] )[A-Z][\w'-]+(?: [A-Z][\w'-]+)*|\b\d[\d,.]*\d\b|\b[a-z]{7,}\b")


def recurring(r, sents):
    """
    A question from one sentence of a passage whose answer stands in another one: both hold the same name, number or long word
    (recurring span selection, Ram et al. 2021). -> (place of the sentence asked about, question, answer) or None.
    """
    where = {}
    for i, s in enumerate(sents):
        for m in NAMED.finditer(s):
            where.setdefault(m.group(), {}).setdefault(i, m.span())
    spans = [t for t, at in where.items() if 2 <= len(at) <= 4]
    named = [t for t in spans if not t[0].islower()]
    if not spans:
        return None
    answer = r.choice(named if named and r.random() < 0.75 else spans)
    i = r.choice(list(where[answer]))
    made = cloze(r, sents[i].strip(), where[answer][i])
    return (i, made[0], answer) if made and made[0] else None


SENT = re.compile(r"(?<=[.!?])[\"'”’)\]]*\s+(?=[\"'“‘(\[]?[A-Z0-9])|(?<=[。！？])[」』”’）]*\s*(?=[^\s」』”’）])")


def sentences(text):
    out, start = [], 0
    for m in SENT.finditer(text):
        out.append(text[start:m.end()])
        start = m.end()
    if start < len(text):
        out.append(text[start:])
    return out
