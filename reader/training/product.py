"""A whole question as the product answers it, on many texts side by side: the scan, the evidence, the answer, the second look; and BM25 to compare with."""
import json, os
import torch
from tokenizers import Tokenizer
from answers import answers, shortlist, standings
from keep import RUN, Sentences, keep, lexical
from lockstep import Scorer, Texts, in_order, sequential, tournament
from quantized import Answer, Scan, dev

LONGEST_SENTENCE = 800   # characters; the product's segmenter cuts at as many bytes
MODES = {"sequential": sequential, "tournament": tournament}
TABLE = []   # lines that `say` is told to keep


def say(*parts, keep=False):
    line = " ".join(str(p) for p in parts)
    print(line, flush=True)
    if keep:
        TABLE.append(line)


def cut(sentence):
    return [sentence[i:i + LONGEST_SENTENCE] for i in range(0, len(sentence), LONGEST_SENTENCE)]


class Model:
    def __init__(s, folder):
        s.tok = Tokenizer.from_file(f"{folder}/tokenizer.json")
        reader = json.load(open(f"{folder}/config.json"))["reader"]
        s.longest, s.longest_question = reader["max_window_tokens"], reader["max_question_tokens"]
        s.settings = {"window_tokens": s.longest - s.longest_question - 3, **reader["settings"]}
        s.answer_settings = reader["answer"]
        scan = Scan(folder, s.longest)
        run = torch.compile(lambda ids, rows: scan(ids, rows), dynamic=False) if dev == "cuda" else scan
        def either(ids, rows):
            try:
                return either.run(ids, rows)
            except torch.cuda.OutOfMemoryError:
                raise
            except Exception as e:
                if either.run is scan:
                    raise
                say("not compiled:", type(e).__name__, str(e)[:300])
                either.run = scan
                return scan(ids, rows)
        either.run = run
        s.scan = either
        s.answer = Answer(folder) if os.path.exists(f"{folder}/answer.safetensors") else None

    def encode(s, question):
        return s.tok.encode(" " + question.strip(), add_special_tokens=False).ids[:s.longest_question]


def answered(model, scorer, rows, evidence, counts, asked, ids):
    """
    What is answered from the evidence [C, S] of texts [C, N]: the sentences picked [C, S], and (text, confidence, sentence) of each answer; asked [C],
    numbers of the questions whose tokens `ids` holds.
    """
    evidence = in_order(rows, evidence)
    questions = [ids[k] for k in asked.tolist()]
    cache = shortlist(model.answer, scorer, evidence, asked, counts, questions, model.settings, model.answer_settings)
    standing = standings(scorer, cache, asked, counts, model.settings["lexical_weight"])
    return cache, answers(model.answer, model.tok, scorer.table, cache, questions, standing, model.answer_settings)


def look_again(model, table, texts, given, which, questions, way):
    """The texts `which` once more, the sentence that answered behind the question -> what is answered from and answers, as of `answered`."""
    found = [given[i][2] for i in which]
    sought = [f"{questions[i]} {table.texts[k].strip()}" for i, k in zip(which, found)]
    once_more = Sentences(table.texts, model.tok, sought)
    scorer = Scorer(model.scan, once_more, [model.encode(q) for q in sought], model.longest)
    rows = [texts.rows[i][:texts.length[i]].tolist() for i in which]
    size = 55 if way == "tournament" else len(rows)
    parts = [MODES[way](scorer, Texts(rows[k:k + size], list(range(k, min(len(rows), k + size)))), model.settings) for k in range(0, len(rows), size)]
    more, counts = torch.cat([p[0] for p in parts]), [torch.cat(c) for c in zip(*(p[1] for p in parts))]
    both = torch.full((len(which), more.shape[1] + 1), -1, device=dev)
    for k, row in enumerate(more.tolist()):
        every = list(dict.fromkeys([found[k]] + [x for x in row if x >= 0]))
        both[k, :len(every)] = torch.tensor(every)
    return answered(model, scorer, texts.rows[which], both, counts, torch.arange(len(which), device=dev), [model.encode(questions[i]) for i in which])


def second(model, table, texts, picks, given, questions, way):
    """Uncertain answers looked for once more; the surer one stays (shared/scan/second.ts)."""
    unsure = [i for i, (_, confidence, sentence) in enumerate(given) if confidence < model.answer_settings["again_below"] and sentence >= 0]
    if not unsure: return picks, given
    again, answer = look_again(model, table, texts, given, unsure, questions, way)
    picks = torch.nn.functional.pad(picks, (0, again.shape[1] - picks.shape[1]), value=-1)
    for k, i in enumerate(unsure):
        if answer[k][1] > given[i][1]: picks[i], given[i] = again[k], answer[k]
    return picks, given


def by_words(table, texts, budget, plain):
    """BM25 with the usual constants and whole words over the whole text, the best `budget` tokens: what a lexical index would give [C, 512]. `plain` is the table of whole words."""
    best = []
    for row, length, q in zip(texts.rows, texts.length.tolist(), texts.question):
        number, copies = row[:length].long().unique(return_counts=True)
        times = plain.times(number[None], q[None])
        total = copies.sum()[None].float()
        holding = ((times[0] > 0) * copies[:, None]).sum(0)[None].float()
        read = (plain.words[number] * copies).sum()[None].float()
        score = lexical(times, torch.zeros_like(times, dtype=torch.float), plain.words[number][None], holding, total, read, 1.2, 0.75)
        top, at = score.topk(min(512, len(number)))
        best.append((torch.nn.functional.pad(number[at[0]], (0, 512 - at.shape[1]), value=-1), torch.nn.functional.pad(top[0], (0, 512 - at.shape[1]))))
    window, score = (torch.stack(x) for x in zip(*best))
    return window.masked_fill(~keep(score, window, table, budget), -1)


def whole_words(text):
    return RUN.findall(text.lower())
