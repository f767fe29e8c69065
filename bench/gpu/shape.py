"""One of the bench's shapes: the reference way, tournaments, sequences, each a row of the table as soon as it is known."""

from __future__ import annotations

import json
import math
import statistics
import time
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, Qwen2Config

from engine import Engine
from measure import Chip, wall
from plan import bucket

DOCUMENT, PROMPT, CACHE, PADDING, SURVIVE, ROWS, VOCABULARY = 1_000_000, 60, 400, 16, 300, 40, 150_000
WINDOW, PAPER_WINDOW, PAPER_NEW = 2560, 1500, 1024
SHAPES = {
    "0.5B": dict(hidden_size=896, intermediate_size=4864, num_hidden_layers=24, num_attention_heads=14, num_key_value_heads=2, vocab_size=151936, tie_word_embeddings=True),
    "7B": dict(hidden_size=3584, intermediate_size=18944, num_hidden_layers=28, num_attention_heads=28, num_key_value_heads=4, vocab_size=152064, tie_word_embeddings=False),
}
START = time.perf_counter()


def make(count: int, length: int) -> list[list[int]]:
    return torch.randint(10, VOCABULARY, (count, length)).tolist()


class Bench:
    """
    `batch`: windows of 2,560 tokens that run together. `share`: the part of a tournament's first round that runs, in full batches; all
    rounds are counted at its rate.
    """

    def __init__(self, name: str, chip: Chip, batch: int, share: float, file: Path | None, figures: dict[str, Any]) -> None:
        self.name, self.chip, self.batch, self.share = name, chip, batch, share
        self.file, self.figures, self.shape = file, figures, SHAPES[name]
        torch.set_default_device("cuda")
        config = Qwen2Config(**self.shape, max_position_embeddings=32768)
        self.model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16).eval()
        torch.set_default_device("cpu")
        self.last = config.num_hidden_layers - 1
        self.middle = config.num_hidden_layers // 2
        self.reference = 0.0
        self.engines: dict[str, Engine] = {}

    def engine(self, kind: str) -> Engine:
        class NoTokenizer:
            bos_token_id = None

        if kind not in self.engines:
            size = self.batch * bucket(WINDOW)
            self.engines[kind] = Engine(self.model, NoTokenizer(), compiled=True, graphs=True, max_batch_tokens=size, fp8=kind == "FP8")
        return self.engines[kind]

    def ways(self) -> None:
        """What the engines chose at their start."""
        for kind, engine in self.engines.items():
            swiglu = "in" if engine.trunk.one_kernel else "after"
            print(f"\n{self.name}, {kind}: {engine.trunk.attention} attention, SwiGLU {swiglu} the matmul", flush=True)

    def keep(self, row: str, **figures: Any) -> None:
        self.figures[f"{self.name} {row}"] = {**figures, "at": time.perf_counter() - START}
        if self.file:
            self.file.write_text(json.dumps(self.figures, indent=1), "utf-8")

    def measure_reference(self, repeats: int) -> None:
        """The median of `repeats` windows, scaled to the paper's count."""
        self.model.set_attn_implementation("eager")
        times = []
        with torch.inference_mode():
            for w in torch.randint(10, VOCABULARY, (repeats + 3, PAPER_WINDOW)):
                def one(w: Any = w) -> None:
                    out = self.model(w[None].cuda(), output_attentions=True, use_cache=False)
                    out.attentions[-1][0][:, -ROWS:].sum((0, 1)).tolist()
                times.append(wall(one))
        each = statistics.median(times[3:])
        self.reference = each * math.ceil(DOCUMENT / PAPER_NEW)
        self.keep("reference", window_ms=each * 1e3, seconds=self.reference)
        print(f"\n{self.name}, the reference way: {each * 1e3:.2f} ms a window, {self.reference:.1f} s for the document", flush=True)
        self.header()

    def header(self) -> None:
        print("\n| shape | way | window | layers run | linear layers | windows | s | floor s | of burst | of kept up | times the reference way |")
        print("|---|---|---|---|---|---|---|---|---|---|---|", flush=True)

    def row(self, way: str, window: int, kind: str, layer: int, windows: int, seconds: float) -> None:
        """The floor: linear layers and causal attention below the layer, and its K, at the burst rate of a bf16 matmul."""
        d, kv = self.shape["hidden_size"], self.shape["hidden_size"] // self.shape["num_attention_heads"] * self.shape["num_key_value_heads"]
        weights = d * (d + 2 * kv) + d * d + 3 * d * self.shape["intermediate_size"]
        cost = 2.0 * windows * window * (weights * layer + d * kv + window * d * layer)
        floor, burst, kept = self.chip.floor(cost), cost / seconds / self.chip.burst, cost / seconds / self.chip.kept
        print(
            f"| {self.name} | {way} | {window} | {layer + 1} of {self.last + 1} | {kind} | {windows} | {seconds:.2f} | {floor:.2f} "
            f"| {burst:.0%} | {kept:.0%} | {self.reference / seconds:.1f} |", flush=True,
        )
        self.keep(
            f"{way}, {window}, {layer + 1} layers, {kind}", windows=windows, seconds=seconds, floor=floor, of_burst=burst, of_kept=kept,
            ratio=self.reference / seconds,
        )

    def rounds(self, layer: int, kind: str, window: int = WINDOW) -> None:
        engine = self.engine(kind)
        counts = [math.ceil(DOCUMENT / (window - PROMPT))]
        while counts[-1] > 1:
            counts.append(math.ceil(counts[-1] * SURVIVE / (window - PROMPT)))
        whole, full = self.share == 1, engine.max_batch_tokens // bucket(window)
        sets = [make(c, window) for c in (counts if whole else [max(1, round(counts[0] * self.share / full)) * full])]
        def scan(sets: list[Any]) -> None:
            for s in sets:
                engine.importance(s, [ROWS] * len(s), ((layer, None),))
        scan(sets)
        seconds = min(wall(lambda: scan(sets)) for _ in range(2))
        scale = 1 if whole else sum(counts) / len(sets[0])
        self.row("rounds", window, kind, layer, sum(counts), seconds * scale)
        first = wall(lambda: scan(sets[:1])) if whole else seconds * scale * counts[0] / sum(counts)
        self.row("round 1", window, kind, layer, counts[0], first)

    def sequential(self, layer: int, kind: str, repeats: int, window: int = WINDOW) -> None:
        engine, windows = self.engine(kind), make(repeats, window)
        def scan() -> None:
            for w in windows:
                engine.importance([w], [ROWS], ((layer, None),))
        scan()
        count = math.ceil(DOCUMENT / (window - PROMPT - CACHE - PADDING))
        self.row("sequential", window, kind, layer, count, wall(scan) / repeats * count)

    def agreement(self, layer: int) -> None:
        """On random weights attention is nearly uniform, so this is a hard case."""
        windows = make(self.batch, WINDOW)
        found = [self.engine(k).importance(windows, [ROWS] * self.batch, ((layer, None),)) for k in ("bf16", "FP8")]
        overlap = []
        for x, y in zip(*found):
            tops = [set(torch.tensor(v[1 : WINDOW - ROWS]).topk(SURVIVE).indices.tolist()) for v in (x, y)]
            overlap.append(len(tops[0] & tops[1]) / SURVIVE)
        share = statistics.mean(overlap)
        self.keep(f"agreement, {layer + 1} layers", share=share)
        print(f"\n{self.name}, {layer + 1} layers: of the top 300 tokens of a window FP8 and bf16 share {share:.1%}", flush=True)
