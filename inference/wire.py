"""The wire format of the attention seam: float16 little-endian in base64, and errors that say whether to try again."""

from __future__ import annotations

import base64
import struct
from typing import Any

MAX_HALF = 65504.0
MAX_WINDOWS = 4096
MAX_TEXT = 64 * 1024 * 1024


class RequestError(Exception):
    """Something the caller can be told: `code` is stable, `retryable` says whether the same request may pass later."""

    def __init__(self, code: str, message: str, retryable: bool = False) -> None:
        super().__init__(message)
        self.code, self.message, self.retryable = code, message, retryable

    def body(self) -> dict[str, Any]:
        return {"error": {"code": self.code, "message": self.message, "retryable": self.retryable}}


def encode_half(values: list[float]) -> str:
    """Values beyond float16's range are clamped, so that no infinity reaches the wire."""
    if values and not -MAX_HALF <= min(values) <= max(values) <= MAX_HALF:
        values = [max(-MAX_HALF, min(MAX_HALF, v)) for v in values]
    return base64.b64encode(struct.pack(f"<{len(values)}e", *values)).decode("ascii")


def decode_half(text: str) -> list[float]:
    raw = base64.b64decode(text)
    return list(struct.unpack(f"<{len(raw) // 2}e", raw))


def check_score(body: Any) -> dict[str, Any]:
    """A score request in its checked form; raises RequestError with code `invalid_request` on anything else."""

    def bad(message: str) -> RequestError:
        return RequestError("invalid_request", message)

    if not isinstance(body, dict):
        raise bad("the body must be a JSON object")
    question, windows = body.get("question"), body.get("windows")
    if not isinstance(question, str) or not question.strip():
        raise bad("question must be a string that is not empty")
    if not isinstance(windows, list) or not windows:
        raise bad("windows must be a list that is not empty")
    if len(windows) > MAX_WINDOWS:
        raise bad(f"at most {MAX_WINDOWS} windows in one request")
    size = len(question)
    for window in windows:
        sentences = window.get("sentences") if isinstance(window, dict) else None
        if not isinstance(sentences, list) or not all(isinstance(s, str) for s in sentences):
            raise bad("every window must be {sentences: [string]}")
        size += sum(map(len, sentences))
    if size > MAX_TEXT:
        raise bad("the text of one request is too long")
    return {"question": question, "windows": windows, "parameters": check_parameters(body.get("parameters") or {})}


def check_parameters(parameters: Any) -> dict[str, Any]:
    """{layer, heads, calibrate} in its checked form."""
    if not isinstance(parameters, dict):
        raise RequestError("invalid_request", "parameters must be an object")
    layer = parameters.get("layer")
    if layer not in (None, "last", "middle", "heads") and (isinstance(layer, bool) or not isinstance(layer, int)):
        raise RequestError("invalid_request", 'layer must be "last", "middle", "heads" or a layer number')
    heads = parameters.get("heads")
    if heads is not None and (
        not isinstance(heads, list) or not heads or not all(isinstance(h, int) and not isinstance(h, bool) for h in heads)
    ):
        raise RequestError("invalid_request", "heads must be a list of head numbers that is not empty")
    return parameters
