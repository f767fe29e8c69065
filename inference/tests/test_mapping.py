"""Sentences to tokens and back."""

from __future__ import annotations

import pytest
from helpers import small_tokenizer

from prompt import Prompt, by_sentence, encode_all, encode_apart

TEXTS = {
    "english": ["The harbour was quiet. ", "Nobody came to the pier. ", "It rained."],
    "multilingual": ["Der Zug fuhr über die Brücke. ", "東京は雨です。", "Москва слезам не верит. ", "مرحبا بالعالم. ", "नमस्ते दुनिया। "],
    "emoji": ["We won 🎉🎉! ", "👩‍👩‍👧‍👦 came too. ", "🇳🇴", " done"],
    "crlf": ["One.\r\n", "\r\n", "Two.\r\n", "Three."],
    "code": ["def f(x):\n", "    return x + 1\n", "\n\n", "}\n}\n", "const a = `b`;\n"],
    "empty ones": ["", "A. ", "", "B.", ""],
}


@pytest.mark.parametrize("name", list(TEXTS))
def test_every_token_has_its_sentence(name, tokenizer):
    sentences = TEXTS[name]
    text = "".join(sentences)
    ids, owners = encode_all(tokenizer, [sentences])[0]
    offsets = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)["offset_mapping"]
    assert len(ids) == len(owners) == len(offsets) and owners == sorted(owners)
    starts = [sum(map(len, sentences[:i])) for i in range(len(sentences) + 1)]
    for (_, end), owner in zip(offsets, owners):
        assert starts[owner] <= end - 1 < starts[owner + 1]
    covered = set()
    for start, end in offsets:
        covered.update(range(start, end))
    assert covered == set(range(len(text)))


@pytest.mark.parametrize("layout", ["paper", "chat"])
@pytest.mark.parametrize("question", ["Who came?", "Question:\n\nAnswer:", "🎉 où?"])
def test_question_rows_by_construction(layout, question):
    tokenizer = small_tokenizer(chat=layout == "chat")
    prompt = Prompt(tokenizer, 1024, layout)
    window = prompt.window(["Question:\n\nWho came?\n\nAnswer: ", "Nobody came."], question)
    tail = tokenizer.decode(window.ids[-window.rows :])
    assert tail.startswith(question) and (layout == "chat" or tail == question + "\n\nAnswer:")
    context = window.ids[window.start : window.start + len(window.kept)]
    assert tokenizer.decode(context) == "Question:\n\nWho came?\n\nAnswer: Nobody came."


def test_a_window_over_the_limit_reads_the_heads_of_its_longest_sentences(tokenizer):
    sentences = ["Short one. ", "word " * 400, "Also short. "]
    prompt = Prompt(tokenizer, 200)
    window = prompt.window(sentences, "Who?")
    assert len(window.ids) <= 200
    kept = [window.owners[i] for i in window.kept]
    assert kept.count(0) == window.owners.count(0) and kept.count(2) == window.owners.count(2) and kept.count(1) > 20
    dealt = by_sentence(window, [1.0] * len(window.ids))
    assert [len(s) for s in dealt] == [window.owners.count(i) for i in range(3)]
    assert sum(dealt[1]) == kept.count(1)


def test_sentences_encoded_apart_are_those_encoded_alone(tokenizer):
    windows = [["One. ", "", "Two \U0001f5dd.\r\n"], [], ["Three."]]
    for sentences, (ids, owners) in zip(windows, encode_apart(tokenizer, windows)):
        for n, sentence in enumerate(sentences):
            alone = tokenizer(sentence, add_special_tokens=False)["input_ids"] if sentence else []
            assert [i for i, owner in zip(ids, owners) if owner == n] == list(alone)
