"""An answer from the evidence alone, with the same model, as a stream of text."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

from wire import RequestError

MAX_NEW_TOKENS = 512


def stream(engine: Any, body: Any) -> Iterator[str]:
    """`body` is {question, evidence: [string], max_new_tokens?}; checks raise RequestError before the first piece."""
    if not isinstance(body, dict) or not isinstance(body.get("question"), str) or not body["question"].strip():
        raise RequestError("invalid_request", "question must be a string that is not empty")
    evidence = body.get("evidence")
    if not isinstance(evidence, list) or not all(isinstance(s, str) for s in evidence):
        raise RequestError("invalid_request", "evidence must be a list of strings")
    if engine.reader is not None:
        raise RequestError("unsupported", "the embedded reader points at spans; it writes no answers")
    wanted = body.get("max_new_tokens", 128)
    if isinstance(wanted, bool) or not isinstance(wanted, int) or not 1 <= wanted <= MAX_NEW_TOKENS:
        raise RequestError("invalid_request", f"max_new_tokens must be 1 to {MAX_NEW_TOKENS}")
    window = engine.prompt.window(evidence, body["question"])
    return generate(engine, window.ids, wanted)


def generate(engine: Any, ids: list[int], wanted: int) -> Iterator[str]:
    import torch
    from transformers import TextIteratorStreamer

    streamer = TextIteratorStreamer(engine.tokenizer, skip_prompt=True, skip_special_tokens=True, timeout=120)
    failed: list[BaseException] = []

    def work() -> None:
        try:
            with torch.inference_mode():
                tokens = torch.tensor([ids], device=engine.device)
                engine.model.generate(
                    input_ids=tokens, attention_mask=torch.ones_like(tokens), max_new_tokens=wanted, do_sample=False,
                    streamer=streamer, pad_token_id=engine.tokenizer.eos_token_id or 0,
                )
        except BaseException as error:
            failed.append(error)
            streamer.end()

    threading.Thread(target=work, daemon=True).start()
    for piece in streamer:
        if piece:
            yield piece
    if failed:
        raise RequestError("generation_failed", "the model could not finish the answer", True) from failed[0]
