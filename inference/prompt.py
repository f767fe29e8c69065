"""A window as token ids: prompt pieces are encoded apart, so where the context and the question lie is known by counting."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from typing import Any

from wire import RequestError

OPENING = "Read the book and answer the question. Be very concise in your answer.\n\n"
BEFORE_QUESTION = "\n\nQuestion:\n\n"
AFTER_QUESTION = "\n\nAnswer:"
SLOT_CONTEXT, SLOT_QUESTION = "\ue000\ue001", "\ue001\ue000"


@dataclass
class Window:
    """`ids` = head + kept context tokens + tail; the last `rows` ids are the question rows."""

    ids: list[int]
    start: int
    rows: int
    owners: list[int]
    kept: list[int] = field(default_factory=list)
    sentences: int = 0


def encode_all(tokenizer: Any, windows: list[list[str]]) -> list[tuple[list[int], list[int]]]:
    """
    For each window the ids of its joined sentences and each token's sentence: the one that holds the token's last character, so that
    " The" belongs to the sentence it begins although the space ends the one before. Every token has exactly one owner, and owners never
    fall. All windows go to the tokenizer in one call, which uses every core.
    """
    texts = ["".join(sentences) for sentences in windows]
    if not any(texts):
        return [([], []) for _ in texts]
    encoded = tokenizer(texts, add_special_tokens=False, return_offsets_mapping=True, return_attention_mask=False, verbose=False)
    return [
        (list(ids), token_owners(offsets, sentences))
        for ids, offsets, sentences in zip(encoded["input_ids"], encoded["offset_mapping"], windows)
    ]


def encode_apart(tokenizer: Any, windows: list[list[str]]) -> list[tuple[list[int], list[int]]]:
    """The same with every sentence encoded by itself: the embedded reader reads its windows so, and counts tokens so."""
    flat = [sentence for sentences in windows for sentence in sentences]
    ids = iter(tokenizer(flat, add_special_tokens=False, return_attention_mask=False, verbose=False)["input_ids"] if flat else [])
    found = []
    for sentences in windows:
        parts = [next(ids) for _ in sentences]
        found.append(([i for part in parts for i in part], [n for n, part in enumerate(parts) for _ in part]))
    return found


def token_owners(offsets: list[tuple[int, int]], sentences: list[str]) -> list[int]:
    """Searched for from the side of the sentences, of which there are few: tokens are in the order of their text."""
    last = sum(map(len, sentences)) - 1
    owners: list[int] = []
    for n, end in enumerate(accumulate(map(len, sentences))):
        after = bisect_left(offsets, end, lo=len(owners), key=lambda o: min(max(o[0], o[1] - 1), last))
        owners += [n] * (after - len(owners))
    return owners


def head_cap(counts: list[int], budget: int) -> int:
    """The largest cap a sentence at which `sum(min(count, cap)) <= budget`."""
    low, high = 0, max(counts, default=0)
    while low < high:
        middle = (low + high + 1) // 2
        if sum(min(c, middle) for c in counts) <= budget:
            low = middle
        else:
            high = middle - 1
    return low


class Prompt:
    """
    Builds windows in one of three layouts: "paper" (the paper's prompt), "chat" (the same words through the model's chat template), and
    "reader" (the embedded reader's special tokens, named by the `reader` block of config.json).
    """

    def __init__(self, tokenizer: Any, max_tokens: int, layout: str = "paper", reader: dict[str, Any] | None = None) -> None:
        self.tokenizer, self.max_tokens, self.reader = tokenizer, max_tokens, reader
        self.layout = "reader" if reader else layout
        if self.layout == "chat" and not getattr(tokenizer, "chat_template", None):
            raise ValueError("this tokenizer has no chat template: use the paper's prompt")
        bos = getattr(tokenizer, "bos_token_id", None)
        self.bos = [bos] if bos is not None and self.layout == "paper" else []

    def encode(self, text: str) -> list[int]:
        return list(self.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]) if text else []

    def encode_windows(self, windows: list[list[str]]) -> list[tuple[list[int], list[int]]]:
        """Ids and owners of each window's sentences."""
        return (encode_apart if self.reader else encode_all)(self.tokenizer, windows)

    def pieces(self, question: str) -> tuple[list[int], list[int], int]:
        """Ids before the context, ids after it, and how many of the last ones are question rows."""
        if self.reader:
            t = self.reader["tokens"]
            asked = self.encode(" " + question.strip())[: self.reader["max_question_tokens"]]
            tail = [t["question"], *asked, t["answer"]]
            return [t["bos"]], tail, len(tail)
        if self.layout == "chat":
            content = OPENING + SLOT_CONTEXT + BEFORE_QUESTION + SLOT_QUESTION
            rendered = self.tokenizer.apply_chat_template(
                [{"role": "user", "content": content}], tokenize=False, add_generation_prompt=True
            )
            opening, rest = rendered.split(SLOT_CONTEXT, 1)
            between, after = rest.split(SLOT_QUESTION, 1)
            rows = self.encode(question + after)
            return self.encode(opening), self.encode(between) + rows, len(rows)
        rows = self.encode(question + AFTER_QUESTION)
        return self.bos + self.encode(OPENING), self.encode(BEFORE_QUESTION) + rows, len(rows)

    def window(
        self, sentences: list[str], question: str | tuple[list[int], list[int], int],
        encoded: tuple[list[int], list[int]] | None = None,
    ) -> Window:
        """A window over the limit keeps the heads of its longest sentences; what isn't read has importance 0."""
        head, tail, rows = self.pieces(question) if isinstance(question, str) else question
        budget = self.max_tokens - len(head) - len(tail)
        if budget < 1:
            raise RequestError("question_too_long", "the question leaves no room for text in the model's window")
        ids, owners = encoded or self.encode_windows([sentences])[0]
        kept, read = list(range(len(ids))), ids
        if len(ids) > budget:
            counts = [0] * len(sentences)
            for owner in owners:
                counts[owner] += 1
            cap, seen, kept = head_cap(counts, budget), [0] * len(sentences), []
            for i, owner in enumerate(owners):
                if seen[owner] < cap:
                    kept.append(i)
                seen[owner] += 1
            read = [ids[i] for i in kept]
        return Window([*head, *read, *tail], len(head), rows, owners, kept, len(sentences))


def by_sentence(window: Window, importance: list[float]) -> list[list[float]]:
    """The importance of a window's positions dealt out to its sentences, one value for every token, 0 for tokens not read."""
    read = importance[window.start : window.start + len(window.kept)]
    full = read
    if len(read) < len(window.owners):
        full = [0.0] * len(window.owners)
        for i, value in zip(window.kept, read):
            full[i] = value
    cuts = [bisect_left(window.owners, n) for n in range(window.sentences + 1)]
    return [full[a:b] for a, b in pairwise(cuts)]
