"""
One model, two doors (handler.py, server.py): sentences in, importance per token out.

Windows are batched by length; the layers below the retrieval layer run flash attention (sdpa); in the retrieval layer only K and the
question rows' Q exist; nothing above it is computed. On a GPU, compiled layers and CUDA graphs keyed by shape.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from array import array
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from places import Places, Where
from plan import Batch, batch_size, plan
from prompt import Prompt, Window, by_sentence
from retrieval import decoder, position_tables, row_importance, sliding_window
from trunk import Trunk
from wire import RequestError, check_parameters, check_score, encode_half

GRAPH_TOKENS = 4096
ROW_BUCKET = 16
MAX_GRAPHS = 64
WINDOWS_AT_ONCE = 64


def load(path: str, device: str | None = None, dtype: torch.dtype | None = None, **options: Any) -> "Engine":
    """An engine from a folder or a model id that `transformers` knows."""
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerFast

    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    dtype = dtype or (torch.bfloat16 if device.startswith("cuda") else torch.float32)
    config = AutoConfig.from_pretrained(path)
    model = AutoModelForCausalLM.from_pretrained(path, dtype=dtype).to(device).eval()
    file = Path(path) / "tokenizer.json"
    if getattr(config, "reader", None) and file.exists():
        tokenizer: Any = PreTrainedTokenizerFast(tokenizer_file=str(file))
    else:
        tokenizer = AutoTokenizer.from_pretrained(path)
    name = os.environ.get("SLUICE_MODEL_NAME") or named(path, config)
    return Engine(model, tokenizer, name=name, **options)


def named(path: str, config: Any) -> str:
    """The embedded reader has the name that its weights give it, as in its manifest, by which a Worker knows it for its own."""
    reader = getattr(config, "reader", None)
    if reader:
        weights = hashlib.sha256((Path(path) / "model.safetensors").read_bytes()).hexdigest()
        return f"{reader.get('name', 'sluice-reader')}@{weights[:12]}"
    name = getattr(config, "_name_or_path", "") or path
    return Path(name).name if Path(name).is_dir() else name


class Engine:
    """
    `defaults` stand in for the parameters that a request leaves out. `compiled` and `graphs` pay on a GPU only. `prompt` is "paper" or "chat"; a model whose config has a `reader` block brings its own
    layout, layer and heads, and its importance is the mean over heads and rows instead of the sum.
    """

    def __init__(
        self, model: Any, tokenizer: Any, name: str = "model", prompt: str = "paper", max_window_tokens: int | None = None,
        max_batch_tokens: int = 102400, fuse: bool = True, compiled: bool = False, graphs: bool = False, fp8: bool = False,
        defaults: dict[str, Any] | None = None,
    ) -> None:
        self.model, self.tokenizer, self.name = model, tokenizer, name
        self.base = decoder(model)
        self.config = self.base.config
        self.device = next(model.parameters()).device
        cuda = self.device.type == "cuda"
        self.reader = getattr(model.config, "reader", None)
        self.trunk = Trunk(model, self.base, fuse, compiled and cuda, fp8)
        self.compiled, self.graphs, self.max_batch_tokens = compiled and cuda, graphs and cuda, max_batch_tokens
        limit = getattr(self.config, "max_position_embeddings", 4096)
        # a CPU reads the paper's windows, of which the client's patience of 25 s holds one
        usual = self.reader["max_window_tokens"] if self.reader else 4096 if cuda else 1536
        limit = min(limit, max_window_tokens or usual)
        self.prompt = Prompt(tokenizer, limit, prompt, self.reader)
        self.defaults = check_parameters({k: v for k, v in (defaults or {}).items() if v is not None})
        self.places = Places(name, self.config, self.reader, self.defaults)
        self.places.where({})
        self.captured: dict[Any, Any] = {}
        self.head_tensors: dict[Any, Tensor | None] = {None: None}
        self.retrieve = torch.compile(row_importance, dynamic=False) if self.compiled else row_importance

    def describe(self) -> dict[str, Any]:
        return {
            "model": self.name,
            "max_window_tokens": self.prompt.max_tokens,
            "layers": self.places.layers,
            "heads": self.places.heads,
            "prompt": self.prompt.layout,
            "reduction": "mean" if self.reader else "sum",
            "reads": [[layer, list(heads) if heads else "all"] for layer, heads in self.places.where({})],
            "calibrates": bool(self.defaults.get("calibrate")),
            "retrieval_heads": self.places.head_list,
            "dtype": str(self.model.dtype).removeprefix("torch."),
            "device": self.device.type,
            # a CPU gains nothing from batches, and a large payload would outlast the client's patience
            "windows_at_once": WINDOWS_AT_ONCE if self.device.type == "cuda" else 1,
            "answers": self.reader is None,
            **(self.own_settings() if self.reader else {}),
        }

    def own_settings(self) -> dict[str, Any]:
        """What the embedded reader was trained for, so that a Worker scans with it as it does with the graphs of its own."""
        question = self.reader["max_question_tokens"]
        marks = 3
        window = self.prompt.max_tokens - question - marks
        return {"max_question_tokens": question, "settings": {"window_tokens": window, **self.reader["settings"]}}

    def forward(self, ids: Tensor, rows: Tensor, valid: Tensor, where: Where) -> Tensor:
        """Importance [batch, T] (float32) of right-padded windows."""
        parts = []
        for (layer, heads), hidden in zip(where, self.trunk.inputs(ids, [layer for layer, _ in where])):
            cos, sin = position_tables(self.base, hidden, layer)
            window, chosen = sliding_window(self.config, layer), self.head_tensors[heads]
            parts.append(self.retrieve(self.base.layers[layer], self.config, window, hidden, rows, valid, cos, sin, chosen))
        return sum(parts[1:], parts[0])

    def replay(self, ids: Tensor, rows: Tensor, valid: Tensor, where: Where) -> Tensor:
        """The same through a CUDA graph, captured at the first window of a shape: launches cost nothing after that."""
        key = (tuple(ids.shape), rows.shape[1], where)
        if key not in self.captured:
            if len(self.captured) >= MAX_GRAPHS:
                self.captured.pop(next(iter(self.captured)))
            inputs = [x.clone() for x in (ids, rows, valid)]
            stream = torch.cuda.Stream()
            stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(stream):
                for _ in range(3):
                    self.forward(*inputs, where)
            torch.cuda.current_stream().wait_stream(stream)
            graph = torch.cuda.CUDAGraph()
            # thread_local: an answer may be generating on another thread
            with torch.cuda.graph(graph, capture_error_mode="thread_local"):
                out = self.forward(*inputs, where)
            self.captured[key] = (graph, inputs, out)
        graph, inputs, out = self.captured[key]
        for static, value in zip(inputs, (ids, rows, valid)):
            static.copy_(value, non_blocking=True)
        graph.replay()
        return out.clone()

    def pack(self, batch: Batch, ids: list[list[int]], rows: list[int], static: bool) -> tuple[Tensor, Tensor, Tensor]:
        """A batch on the host: token ids [batch, T], positions of the question rows and which of them count [batch, R]."""
        members, length = batch.indices, batch.length
        count = batch_size(len(members), length, self.max_batch_tokens) if static else len(members)
        wide = max(rows[i] for i in members)
        wide = -(-wide // ROW_BUCKET) * ROW_BUCKET if static else wide
        # pinned, as the results are: a copy of pageable memory would wait for the batch before it
        pinned = self.device.type == "cuda"
        tokens = torch.zeros(count, length, dtype=torch.long, pin_memory=pinned)
        at = torch.zeros(count, wide, dtype=torch.long, pin_memory=pinned)
        valid = torch.zeros(count, wide, pin_memory=pinned)
        for line, i in enumerate(members):
            size = len(ids[i])
            # torch.tensor(list) takes ten times as long
            tokens[line, :size] = torch.frombuffer(array("q", ids[i]), dtype=torch.long)
            at[line, : rows[i]] = torch.arange(size - rows[i], size)
            valid[line, : rows[i]] = 1
        return tokens, at, valid

    @torch.inference_mode()
    def importance(self, ids: list[list[int]], rows: list[int], where: Where) -> list[list[float]]:
        """Importance of every position of every window; the last `rows[i]` positions of window i are its question rows."""
        results: list[list[float]] = [[] for _ in ids]
        for _, heads in where:
            if heads not in self.head_tensors:
                self.head_tensors[heads] = torch.tensor(heads, device=self.device)
        static = self.compiled or self.graphs
        pending = []
        for batch in plan([len(w) for w in ids], self.max_batch_tokens, exact=not static):
            packed = self.pack(batch, ids, rows, static)
            inputs = [x.to(self.device, non_blocking=True) for x in packed]
            graph = self.graphs and packed[0].numel() <= GRAPH_TOKENS
            out = (self.replay if graph else self.forward)(*inputs, where)
            done = None
            if self.device.type == "cuda":
                out = torch.empty(out.shape, pin_memory=True).copy_(out, non_blocking=True)
                done = torch.cuda.Event()
                done.record()
            pending.append((batch.indices, out, done))
        for members, out, done in pending:
            if done is not None:
                done.synchronize()
            for line, values in zip(members, out.tolist()):
                results[line] = values[: len(ids[line])]
        if self.reader:
            scale = self.places.count(where)
            results = [[v / (scale * r) for v in w] for w, r in zip(results, rows)]
        return results

    def score(self, body: Any) -> dict[str, Any]:
        return self.score_many([body])[0]

    def score_many(self, bodies: list[Any]) -> list[dict[str, Any]]:
        """Several requests as one: their windows share batches wherever they read the same places. A bad one gets its own error."""
        answers: list[dict[str, Any]] = [{} for _ in bodies]
        groups: dict[Where, list[tuple[int, int, Window]]] = {}
        for n, body in enumerate(bodies):
            try:
                request = check_score(body)
                parameters = request["parameters"]
                where = self.places.where(parameters)
                pieces = self.prompt.pieces(request["question"])
                blank = self.prompt.pieces("N/A") if parameters.get("calibrate", self.defaults.get("calibrate")) else None
                made = []
                texts = [w["sentences"] for w in request["windows"]]
                for i, (sentences, encoded) in enumerate(zip(texts, self.prompt.encode_windows(texts))):
                    made.append((n, i, self.prompt.window(sentences, pieces, encoded)))
                    if blank:
                        # the negative number marks the content-free twin of window i
                        made.append((n, -i - 1, self.prompt.window(sentences, blank, encoded)))
                groups.setdefault(where, []).extend(made)
                answers[n] = {"windows": [None] * len(request["windows"])}
            except RequestError as error:
                answers[n] = error.body()
        for where, jobs in groups.items():
            values = self.importance([w.ids for _, _, w in jobs], [w.rows for _, _, w in jobs], where)
            twins = {(n, -i - 1): (v, w) for (n, i, w), v in zip(jobs, values) if i < 0}
            for (n, i, window), value in zip(jobs, values):
                if i < 0:
                    continue
                sink = value[0]
                if not math.isfinite(sum(value)):
                    answers[n] = RequestError("not_finite", "the model's attention is not finite at this precision").body()
                if "error" in answers[n]:
                    continue
                if (n, i) in twins:
                    value = calibrated(value, window, *twins[(n, i)], mean=self.reader is not None)
                dealt = by_sentence(window, value)
                answers[n]["windows"][i] = {
                    "sentences": [{"importance": encode_half(s)} for s in dealt],
                    "sink": sink,
                }
        return answers

    def warm(self) -> None:
        """Compiles and captures before the first request: what full windows make, one by one and many at once, with a shorter or longer question."""
        limit = self.prompt.max_tokens
        for count, eighths in ((1, (2, 6, 7, 8)), (WINDOWS_AT_ONCE, (6, 8))):
            for length in (limit * e // 8 for e in eighths):
                for rows in (ROW_BUCKET, 2 * ROW_BUCKET):
                    self.importance([[1] * length] * count, [rows] * count, self.places.where({}))


def calibrated(value: list[float], window: Window, blank: list[float], other: Window, mean: bool) -> list[float]:
    """
    In-context re-ranking's calibration: minus the same score under the question "N/A" (put to the same number of rows); tokens more than
    two standard deviations below the mean count as 0.
    """
    scale = 1.0 if mean else window.rows / other.rows
    end = window.start + min(len(window.kept), len(other.kept))
    part = torch.tensor(value[window.start : end]) - scale * torch.tensor(blank[other.start : other.start + end - window.start])
    if len(part) > 1:
        part = part.masked_fill(part < part.mean() - 2 * part.std(unbiased=False), 0.0)
    return value[: window.start] + part.tolist() + [0.0] * (len(value) - end)
