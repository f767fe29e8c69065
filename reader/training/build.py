"""Text and question rows -> tokenizer, sentences as token arrays, questions with their passages (windows.py makes windows of them)."""
import glob, json, lzma, os, re, zlib
from collections import Counter
from math import log
from multiprocessing import Pool
import numpy as np
from tokenizers import Tokenizer, models, pre_tokenizers, decoders, trainers, Regex
import synth

BOS, EOS, Q, A, NONE, CTX = 0, 1, 2, 3, 4, 5
SPECIAL = ["<|bos|>", "<|eos|>", "<|question|>", "<|answer|>", "<|none|>", "<|context|>"]
MASK = NONE   # what a masked token of the answer model's reading is replaced by
VOCAB = int(os.environ.get("VOCAB", 16384))
MAXQ = 56


def read(path):
    if path.endswith(".xz"):
        return lzma.open(path, "rt", encoding="utf-8").read()
    return open(path, encoding="utf-8").read()


def load(root):
    docs = []
    for p in sorted(glob.glob(f"{root}/text/*")):
        least = 80 if "standardebooks" in p else 24  # manuals keep their headings and list items
        docs += [d for d in re.split(r"\n\s*\n", read(p)) if len(d) > least]
    return docs


def train_tokenizer(texts):
    tok = Tokenizer(models.BPE())
    tok.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(r"\d"), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)])
    tok.decoder = decoders.ByteLevel()
    tr = trainers.BpeTrainer(vocab_size=VOCAB, special_tokens=SPECIAL, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), min_frequency=2, show_progress=False)
    tok.train_from_iterator(texts, tr)
    return tok


def split_docs(docs):
    return [synth.sentences(d) for d in docs]


def chunk(xs, n):
    return [xs[i:i + n] for i in range(0, len(xs), n)]


class Corpus:
    """Sentences as token arrays, in document order."""
    def __init__(self, tok, docs, procs=16):
        with Pool(procs) as pool:
            parts = pool.map(split_docs, chunk(docs, 2000))
        sents = []
        for part in parts:
            for d in part:
                d = [s for s in d if s.strip()]
                if d:
                    d[-1] = d[-1].rstrip("\n") + "\n"
                    sents += d
        self.sents, self.ids = sents, []
        for c in chunk(sents, 200000):
            self.ids += [np.array(e.ids, np.uint16) for e in tok.encode_batch_fast(c, add_special_tokens=False)]
        self.n = len(sents)


def ends_ws(s):
    """A sentence as it stands in a text that goes on; Chinese has no space behind its full stop."""
    return s if s[-1:].isspace() or s[-1:] in "。！？」』”" else s + "\n"


# Share of each source among the question windows. Siblings (other passages of one document) are the hard negatives;
# in babi and policyqa they often hold the answer too, so those two take none.
SHARE = {"squad_v1.1": 0.44, "fairytaleqa": 0.14, "qamr": 0.11, "qed_nq": 0.10, "selqa": 0.05, "policyqa": 0.05, "babi": 0.04, "drcd": 0.06, "cmrc2018": 0.01}
NO_SIBLINGS = {"babi", "policyqa"}
LANGUAGES = set(os.environ.get("LANGUAGES", "en,zh,zh-Hant").split(","))


def held_out(r):
    """
    Articles kept out of training: one in forty of SQuAD's training articles, to fit what must not be fitted on the development set, and
    one in five of DRCD's, to measure Chinese on.
    """
    of = {"squad_v1.1": 40, "drcd": 5}.get(r["source"])
    return of is not None and zlib.crc32(str(r["doc_id"]).encode()) % of == 0


WORDS = re.compile(r"[a-z0-9]+|[\u4e00-\u9fff]")


def words(text):
    """What two sentences can have in common: words that are not too common, Chinese characters."""
    return frozenset(w for w in WORDS.findall(text.lower()) if w not in synth.STOP)


def near_misses():
    """Our own questions about SQuAD's passages, by the id of a passage's first row: those without an answer there, and others with the answer's offsets."""
    folder = os.path.join(os.path.dirname(os.path.abspath(__file__)), "near-misses")
    lines = (json.loads(line) for path in sorted(glob.glob(f"{folder}/*.jsonl")) for line in open(path))
    return {x["p"]: (x["no"], x["ask"]) for x in lines}


def load_qa(root, tok, held=False):
    """
    The questions that are trained on, or with `held` those of SQuAD kept out. rows: (passage, gold sentence indices, question ids, answer text,
    answer start in its sentence or -1, source, question, accepted answers in lower case).
    """
    rows, passages, pid, by_doc = [], [], {}, {}
    near, misses = near_misses(), {}
    for p in sorted(glob.glob(f"{root}/qa/*.jsonl*")):
        for line in read(p).splitlines():
            r = json.loads(line)
            if r.get("lang", "en") not in LANGUAGES or not r["answers"] or held_out(r) != held or held and r["source"] == "drcd":
                continue
            k, src = r["context"], r["source"]
            if k not in pid:
                pid[k] = len(passages)
                passages.append(synth.sentences(k))
            ss = passages[pid[k]]
            if r["id"] in near: misses[pid[k]] = near[r["id"]]
            st, ans = r.get("answer_start"), r["answers"][0]
            starts = [0]
            for s in ss:
                starts.append(starts[-1] + len(s))
            gold, off = [], -1
            if st is not None and st >= 0:
                gold = [i for i in range(len(ss)) if starts[i] <= st < starts[i + 1]]
                off = st - starts[gold[0]] if gold else -1
            elif r.get("evidence"):
                gold = [i for i in range(len(ss)) if any(a < starts[i + 1] and e > starts[i] + 1 for a, e in r["evidence"])]
            else:
                al = ans.lower().strip(" .")
                gold = [i for i, s in enumerate(ss) if len(al) > 2 and al in s.lower()]
                if len(gold) > 2:
                    gold = []
            if not gold or len(gold) > 4:
                continue
            if r.get("sentence_answers"):
                ans = None  # a whole sentence: evidence, not a span
            rows.append((pid[k], gold, r["question"].strip(), ans, off, src, set(a.lower() for a in r["answers"])))
            if src not in NO_SIBLINGS:
                by_doc.setdefault(str(src) + "/" + str(r.get("doc_id")), set()).add(pid[k])
    flat = [ends_ws(s) for ss in passages for s in ss]
    ids = []
    for c in chunk(flat, 200000):
        ids += [np.array(e.ids, np.uint16) for e in tok.encode_batch_fast(c, add_special_tokens=False)]
    out, k = [], 0
    for ss in passages:
        out.append(ids[k:k + len(ss)])
        k += len(ss)
    qs = tok.encode_batch_fast([" " + r[2] for r in rows], add_special_tokens=False)
    sib = {}
    for ps in by_doc.values():
        ps = sorted(ps)
        for x in ps:
            sib[x] = ps
    groups = {}
    for i, r in enumerate(rows):
        groups.setdefault(r[5], []).append(i)
    of = {p: [] for p in misses}
    for i, r in enumerate(rows):
        if r[0] in of: of[r[0]].append(i)
    rows = [(r[0], r[1], np.array(q.ids, np.uint16), r[3], r[4], r[5], r[2], r[6]) for r, q in zip(rows, qs)]
    bags = [[words(s) for s in ss] for ss in passages]
    seen = Counter(w for bag in bags for b in bag for w in b)
    n = sum(map(len, bags))
    return dict(rows=rows, misses=misses, missed=[p for p in misses if of[p]], of=of, groups=groups, text=passages, low=["".join(s).lower() for s in passages], ids=out, sib=sib, words=bags, rare={w: log(1 + n / k) for w, k in seen.items()})
