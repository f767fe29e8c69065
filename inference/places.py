"""Where attention is read: in which layers, and from which heads of each."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from wire import RequestError

# Rising layers, each with its heads; None: all of them. Importance is summed over the places.
Where = tuple[tuple[int, tuple[int, ...] | None], ...]


class Places:
    """
    `defaults` stand in for the parameters that a request leaves out; a model with a `reader` block has a layer and heads of its own.
    `head_list`: the published or calibrated [layer, head] pairs for this model, where heads/ has them.
    """

    def __init__(self, name: str, config: Any, reader: dict[str, Any] | None, defaults: dict[str, Any]) -> None:
        self.layers, self.heads = config.num_hidden_layers, config.num_attention_heads
        self.reader, self.defaults = reader, defaults
        file = Path(__file__).parent / "heads" / f"{name.split('/')[-1]}.json"
        self.head_list: list[list[int]] | None = json.loads(file.read_text("utf-8"))["heads"] if file.exists() else None

    def where(self, parameters: dict[str, Any]) -> Where:
        """The places that a request's parameters name; raises RequestError where the model lacks them."""
        layer, heads = parameters.get("layer"), parameters.get("heads")
        layer = self.defaults.get("layer") if layer is None else layer
        if layer != "heads":
            return ((self.layer(layer), self.of_layer(heads)),)
        if heads is not None:
            raise RequestError("invalid_request", "heads need the layer that they are in")
        if not self.head_list:
            raise RequestError("unsupported", "no list of retrieval heads for this model: calibrate.py makes one")
        listed: dict[int, list[int]] = {}
        for at, head in self.head_list:
            listed.setdefault(at, []).append(head)
        return tuple((at, self.of_layer(listed[at])) for at in sorted(listed))

    def layer(self, chosen: str | int | None) -> int:
        if chosen is None and self.reader:
            return self.reader["retrieval_layer"]
        if chosen is None or chosen == "last":
            return self.layers - 1
        index = self.layers // 2 if chosen == "middle" else int(chosen)
        if not 0 <= index < self.layers:
            raise RequestError("invalid_request", f"layer must be below {self.layers}")
        return index

    def of_layer(self, chosen: list[int] | None) -> tuple[int, ...] | None:
        if chosen is None and self.reader:
            chosen = self.reader["retrieval_heads"]
        if chosen is None or sorted(set(chosen)) == list(range(self.heads)):
            return None
        if any(not 0 <= h < self.heads for h in chosen):
            raise RequestError("invalid_request", f"heads must be below {self.heads}")
        return tuple(sorted(set(chosen)))

    def count(self, where: Where) -> int:
        """Heads read in all."""
        return sum(self.heads if heads is None else len(heads) for _, heads in where)
