"""Text and question-answer rows -> tokenizer and training windows.

Two layouts: a window to scan is `<|bos|> context <|question|> question <|answer|>`, so that the local layers need not know the question; a
window to answer from is `<|bos|> <|question|> question <|context|> context <|question|> question <|answer|>`, so that a causal model
reads the context with the question in mind.
"""
import glob, json, lzma, os, random, re, zlib
from multiprocessing import Pool
import numpy as np
from tokenizers import Tokenizer, models, pre_tokenizers, decoders, trainers, Regex
import corrupt, synth

BOS, EOS, Q, A, NONE, CTX = 0, 1, 2, 3, 4, 5
SPECIAL = ["<|bos|>", "<|eos|>", "<|question|>", "<|answer|>", "<|none|>", "<|context|>"]
T = int(os.environ.get("T", 1024))
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
    return s if s[-1:].isspace() else s + "\n"


# Share of each source among the question windows. Siblings (other passages of one document) are the hard negatives;
# in babi and policyqa they often hold the answer too, so those two take none.
SHARE = {"squad_v1.1": 0.52, "fairytaleqa": 0.13, "qamr": 0.10, "qed_nq": 0.09, "selqa": 0.05, "policyqa": 0.05, "babi": 0.06}
# Share of the question windows laid out to answer from, by window length: a reader answers from its cache, which is short.
ANSWERS = {256: 0.6, 512: 0.5, 1024: 0.25}
NO_SIBLINGS = {"babi", "policyqa"}


def held_out(r):
    """One in forty of SQuAD's training articles is kept out of training, to fit what must not be fitted on the development set."""
    return r["source"] == "squad_v1.1" and zlib.crc32(str(r["doc_id"]).encode()) % 40 == 0


def load_qa(root, tok):
    """rows: (passage, gold sentence indices, question ids, answer text, answer start in its sentence or -1, source)."""
    rows, passages, pid, by_doc = [], [], {}, {}
    for p in sorted(glob.glob(f"{root}/qa/*.jsonl*")):
        for line in read(p).splitlines():
            r = json.loads(line)
            if r.get("lang", "en") != "en" or not r["answers"] or held_out(r):
                continue
            k, src = r["context"], r["source"]
            if k not in pid:
                pid[k] = len(passages)
                passages.append(synth.sentences(k))
            ss = passages[pid[k]]
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
    rows = [(r[0], r[1], np.array(q.ids, np.uint16), r[3], r[4], r[5], r[2], r[6]) for r, q in zip(rows, qs)]
    return dict(rows=rows, groups=groups, text=passages, low=["".join(s).lower() for s in passages], ids=out, sib=sib)


G = {}


def enc(s):
    return np.array(G["tok"].encode(s, add_special_tokens=False).ids, np.uint16)


def span(sentence, start, answer):
    """Token span [a, b) of the answer inside its sentence, or None."""
    if start < 0:
        start = sentence.lower().find(answer.lower().strip(" ."))
        if start < 0:
            return None
    end = start + len(answer.strip())
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


def sample(r, total):
    """-> tokens, gold mask, (first question row, rows, span start, span end, length, context start, span known, question first)."""
    c, qa = G["corpus"], G["qa"]
    x = r.random()
    kind = "lm" if x < 0.06 else "qa" if x < 0.06 + G["p_qa"] else "needle" if x < 0.06 + G["p_qa"] + 0.17 else "cloze"
    q, blocks, ans = None, [], None   # blocks: lists of (is gold, ids, text)
    first = kind != "lm" and r.random() < ANSWERS[total]   # to answer from, not to scan
    room = total - 10
    if kind == "qa":
        names = [n for n in SHARE if n in qa["groups"]]
        src = r.choices(names, [SHARE[n] for n in names])[0]
        p, g, q, a, off, _, asked, answers = qa["rows"][r.choice(qa["groups"][src])]
        room -= min(len(q), MAXQ) * (1 + first)
        ss, tx = qa["ids"][p], qa["text"][p]
        none = r.random() < (0 if src == "policyqa" else G["p_none"])
        if none:
            main = []
            y = r.random()
            if first and src in ("squad_v1.1", "qed_nq", "fairytaleqa") and y < 0.75:
                other = corrupt.question(r, asked, "".join(tx), answers) if y < 0.45 else None
                if other:   # the passage nearly answers what is now asked
                    q = enc(" " + other)
                    main = [(False, i, None) for i in ss]
                elif a and len(a) > 3:   # the passage without its sentence
                    main = [(False, i, None) for i, t in zip(ss, tx) if a.lower() not in t.lower()]
                if sum(len(b[1]) for b in main) > room // 2: main = main[:r.randint(1, 4)]
        else:
            lo, hi = 0, len(ss)
            if sum(map(len, ss)) > room - 40:
                lo, hi = max(0, g[0] - r.randint(0, 5)), min(len(ss), g[-1] + 1 + r.randint(0, 5))
            if r.random() < 0.15:  # evidence alone, as a cached sentence
                lo, hi = g[0], g[-1] + 1
            keep = r.choice([0.3, 0.5, 1, 1]) if first else 1
            main = [(j in g, ss[j], tx[j]) for j in range(lo, hi) if j in g or r.random() < keep]
            ans = (a, off) if a else None
        if r.random() < 0.25:
            q = np.array([t for t in q if r.random() > 0.12] or q, np.uint16)
        q = q[:MAXQ]
        room -= len(q) * (1 + first)
        blocks.append(main)
        room -= sum(len(b[1]) for b in main)
        if (none and not main) or r.random() < 0.6:
            pool = qa["sib"].get(p, [])
            low = a.lower() if a and len(a) > 3 else None
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
                room -= sum(len(b[1]) for b in blk)
                if room < 60:
                    break
    elif kind == "needle":
        s, qq, a, k = synth.needle(r)
        q = enc(" " + qq)[:MAXQ]
        room -= len(q) * (1 + first)
        if r.random() < 0.8:
            s = s + r.choice([" ", " ", "\n"])
            blocks.append([(True, enc(s), s)])
            room -= len(blocks[0][0][1])
            ans = (a, -1)
        for _ in range(r.choice([0, 0, 1, 2, 4, 8])):  # other needles, half of them of the same kind
            s2, q2, _, _ = synth.needle(r, k if r.random() < 0.5 else None)
            e2 = enc(s2 + " ")
            if q2 != qq and len(e2) < room - 8:
                blocks.append([(False, e2, None)])
                room -= len(e2)
        if not blocks:
            blocks.append([])
    if kind == "cloze":
        for _ in range(8):
            i = r.randrange(c.n)
            cz = synth.cloze(r, c.sents[i].strip())
            if cz:
                break
        else:
            kind = "lm"
        if kind == "cloze":
            q = enc(" " + cz[0])[:MAXQ]
            room -= len(q) * (1 + first)
            lo, hi = max(0, i - r.randint(0, 12)), min(c.n, i + 1 + r.randint(0, 12))
            main = [(j == i, c.ids[j], c.sents[j]) for j in range(lo, hi)]
            while sum(len(b[1]) for b in main) > room - 8 and len(main) > 1:
                main = [b for b in (main[1:] if not main[0][0] else main[:-1])]
            if r.random() < G["p_none"]:
                main = [b for b in main if not b[0]]
            else:
                ans = (cz[1], -1)
            blocks.append(main)
            room -= sum(len(b[1]) for b in main)
    if kind != "lm" and r.random() < 0.9 or kind == "lm":
        bg = background(r, c, max(0, room - 4))
        cuts = sorted(r.randint(0, len(bg)) for _ in blocks) if bg else [0] * len(blocks)
        r.shuffle(blocks)
        seq, at = [], 0
        for b, cut in zip(blocks, cuts):
            seq += [(False, i, None) for _, i in bg[at:cut]]
            at = cut
            seq += b
        seq += [(False, i, None) for _, i in bg[at:]]
    else:
        r.shuffle(blocks)
        seq = [x for b in blocks for x in b]
    out, key = np.zeros(total, np.uint16), np.zeros(total, np.uint8)
    n = 1
    first = first and q is not None
    if first:
        out[1] = Q; out[2:2 + len(q)] = q; out[2 + len(q)] = CTX
        n = len(q) + 3
    cs = n
    ss = se = 0
    for g, ids, text in seq:
        if n + len(ids) + (len(q) + 2 if q is not None else 0) > total:
            break
        out[n:n + len(ids)] = ids
        if g:
            key[n:n + len(ids)] = 1
            if ans and ss == 0 and text is not None:
                sp = span(text, ans[1], ans[0])
                if sp:
                    ss, se = n + sp[0], n + sp[1] - 1
        n += len(ids)
    row0 = nrow = 0
    if q is not None:
        row0, nrow = n, len(q) + 2
        out[n] = Q; out[n + 1:n + 1 + len(q)] = q; out[n + 1 + len(q)] = A
        n += nrow
        if not key.any():
            key[0] = 1
            ss = se = 0
            haspan = 1
        else:
            haspan = 1 if ss > 0 else 0
    else:
        haspan = 0
    return out, key, (row0, nrow, ss, se, n, cs, haspan, first)


def make(args):
    """Writes a part of a pool to memory-backed files and returns its name: the parts need not go through a pipe."""
    seed, count, size = args
    r = random.Random(seed)
    O, K, M = np.zeros((count, size), np.uint16), np.zeros((count, size), np.uint8), np.zeros((count, 8), np.int32)
    for i in range(count):
        O[i], K[i], M[i] = sample(r, size)
    name = f"/dev/shm/windows-{seed}-{size}.npz"
    np.savez(name, O=O, K=K, M=M)
    return name


def pool_samples(pool, total, size, seed=0, per=500):
    """Starts the work; .get() gives the names of the parts."""
    return pool.map_async(make, [((seed + size) * 100003 + i, per, size) for i in range(max(1, total // per))], chunksize=1)


def join(names):
    parts = []
    for n in names:
        with np.load(n) as z:
            parts.append([z[k] for k in "OKM"])
        os.remove(n)
    return [np.concatenate([p[i] for p in parts]) for i in range(3)]
