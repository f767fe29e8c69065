"""
A Hugging Face custom handler: {"inputs": {...}, "parameters": {...}}, JSON out. An exception would become a bare HTTP 400 there, so
every failure is {"error": {code, message, retryable}} inside a 200.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))


class EndpointHandler:
    def __init__(self, path: str = "", engine: Any = None) -> None:
        if engine is None:
            from engine import load

            fast = os.environ.get("SLUICE_COMPILE", "0") == "1"
            engine = load(
                path, prompt=os.environ.get("SLUICE_PROMPT", "paper"), compiled=fast, graphs=fast,
                fp8=os.environ.get("SLUICE_FP8", "0") == "1",
                defaults=defaults(os.environ.get("SLUICE_LAYER"), os.environ.get("SLUICE_CALIBRATE", "0") == "1"),
            )
        self.engine = engine

    def __call__(self, data: Any) -> dict[str, Any]:
        from wire import RequestError

        try:
            if not isinstance(data, dict):
                raise RequestError("invalid_request", "the body must be a JSON object")
            inputs = data.get("inputs", data)
            if not isinstance(inputs, dict):
                raise RequestError("invalid_request", "inputs must be an object")
            if not all(isinstance(x.get("parameters") or {}, dict) for x in (inputs, data)):
                raise RequestError("invalid_request", "parameters must be an object")
            parameters = {**(inputs.get("parameters") or {}), **(data.get("parameters") or {})}
            task = inputs.get("task") or parameters.pop("task", "score")
            if task == "describe":
                return self.engine.describe()
            if task == "score":
                return self.engine.score({**inputs, "parameters": parameters})
            if task == "answer":
                from answer import stream

                return {"text": "".join(stream(self.engine, {**inputs, **parameters}))}
            raise RequestError("invalid_request", "task must be score, describe or answer")
        except RequestError as error:
            return error.body()
        except Exception as error:  # noqa: BLE001 - the endpoint turns any exception into a 400 without a reason
            return failure(error).body()


def defaults(layer: str | None, calibrate: bool) -> dict[str, Any]:
    """The parameters of requests that name none, from what was set by hand."""
    return {"layer": int(layer) if layer and layer.isdigit() else layer or None, "calibrate": calibrate}


def failure(error: Exception) -> Any:
    """What the caller may know of an unexpected exception: its kind, never the text it was reading."""
    from wire import RequestError

    if type(error).__name__ == "OutOfMemoryError":
        return RequestError("out_of_memory", "the payload needs more memory than the device has: send fewer windows", False)
    return RequestError("internal", f"unexpected {type(error).__name__}", True)
