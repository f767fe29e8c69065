"""
How fast the GPU engine scans, in one table: random weights of the Qwen2.5 shapes, 1,000,000 document tokens.

    python bench/gpu/bench.py [--shapes 0.5b,7b] [--window 1500] [--json FILE]

Times start at token ids on the host and end at importance on the host. Three ways to count a tournament, here for windows of 1,500 tokens:
  table   977 windows, 1,024 new tokens each (a window that carries a 400-token cache)
  round1  every window holds 1,440 document tokens, no cache: 695 windows
  rounds  round 1, then 300 tokens a window survive and are packed again, down to one window; a round waits for the one before
The reference way is the same model with eager attention, output_attentions and the LM head, one window at a time.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
import time
import traceback
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2] / "inference"))

import torch
from transformers import AutoModelForCausalLM, Qwen2Config

from engine import Engine
from plan import bucket
from retrieval import position_tables

DOCUMENT, WINDOW, NEW, ROUND1, SURVIVE, ROWS, PADDED = 1_000_000, 1500, 1024, 1440, 300, 40, 1504
SHAPES = {
    "0.5b": dict(hidden_size=896, intermediate_size=4864, num_hidden_layers=24, num_attention_heads=14, num_key_value_heads=2, vocab_size=151936, tie_word_embeddings=True),
    "7b": dict(hidden_size=3584, intermediate_size=18944, num_hidden_layers=28, num_attention_heads=28, num_key_value_heads=4, vocab_size=152064, tie_word_embeddings=False),
}
FIGURES: dict[str, Any] = {}


class NoTokenizer:
    bos_token_id = None


def say(text: str = "") -> None:
    print(text, flush=True)


def cuda_ms(work: Any, repeats: int = 10, warm: int = 3) -> float:
    with torch.inference_mode():
        for _ in range(warm):
            work()
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        for _ in range(repeats):
            work()
        end.record()
        torch.cuda.synchronize()
    return start.elapsed_time(end) / repeats


def wall(work: Any) -> float:
    torch.cuda.synchronize()
    start = time.perf_counter()
    work()
    torch.cuda.synchronize()
    return time.perf_counter() - start


def matmul_rate() -> float:
    a = torch.randn(8192, 8192, device="cuda", dtype=torch.bfloat16)
    b = torch.randn(8192, 8192, device="cuda", dtype=torch.bfloat16)
    return 2 * 8192**3 / (cuda_ms(lambda: a @ b, 20) * 1e-3)


def sustained_rate(seconds: float = 1.5) -> float:
    """The same over a time as long as a scan's: the chip lowers its clock when it has been busy for a while."""
    a = torch.randn(8192, 8192, device="cuda", dtype=torch.bfloat16)
    b = torch.randn(8192, 8192, device="cuda", dtype=torch.bfloat16)
    once = 2 * 8192**3
    cuda_ms(lambda: a @ b, int(seconds * 7e14 / once), 3)
    return once / (cuda_ms(lambda: a @ b, int(seconds * 7e14 / once), 0) * 1e-3)


def flops(shape: dict[str, int], tokens: int, layers: int) -> tuple[float, float]:
    """(linear layers, causal attention) below layer `layers`, and K of that layer, for windows of WINDOW tokens."""
    d, kv = shape["hidden_size"], shape["hidden_size"] // shape["num_attention_heads"] * shape["num_key_value_heads"]
    weights = d * (d + 2 * kv) + d * d + 3 * d * shape["intermediate_size"]
    return 2.0 * tokens * (weights * layers + d * kv), 2.0 * tokens * WINDOW * d * layers


def rounds(windows: int) -> list[int]:
    found = [windows]
    while found[-1] > 1:
        found.append(math.ceil(found[-1] * SURVIVE / ROUND1))
    return found


def make(count: int, vocab: int = 150000, length: int = WINDOW) -> list[list[int]]:
    return torch.randint(10, vocab, (count, length)).tolist()


def reference(model: Any, repeats: int) -> float:
    """Seconds a window, the median."""
    model.set_attn_implementation("eager")
    windows = torch.randint(10, 150000, (repeats + 3, WINDOW))
    times = []
    with torch.inference_mode():
        for w in windows:
            def one() -> None:
                out = model(w[None].cuda(), output_attentions=True, use_cache=False)
                out.attentions[-1][0][:, -ROWS:].sum((0, 1)).tolist()
            times.append(wall(one))
    return statistics.median(times[3:])


def table(engine: Engine, shape: dict[str, int], name: str, way: str, layer: int, rate: float, ref: float, share: float) -> None:
    """One line. `share` < 1: only that part of the windows ran, the time is scaled up."""
    counts = {"table": [math.ceil(DOCUMENT / NEW)], "round1": [math.ceil(DOCUMENT / ROUND1)], "rounds": rounds(math.ceil(DOCUMENT / ROUND1))}[way]
    run = [max(1, round(c * share)) for c in counts]
    sets = [make(c) for c in run]
    def scan() -> None:
        for s in sets:
            engine.importance(s, [ROWS] * len(s), layer)
    scan()
    seconds = min(wall(scan) for _ in range(2 if share == 1 else 1)) * sum(counts) / sum(run)
    linear, attention = flops(shape, sum(counts) * WINDOW, layer)
    floor, reached = (linear + attention) / rate, linear / seconds / rate
    whole = math.ceil(DOCUMENT / NEW) * ref
    say(f"| {name} | {way} | {layer + 1} of {engine.layers} | {sum(counts)} | {seconds:.2f} | {floor:.2f} | {reached:.0%} | {(linear + attention) / seconds / rate:.0%} | {whole:.1f} | {whole / seconds:.1f}x |")
    FIGURES[f"{name} {way} layer {layer + 1}"] = dict(seconds=seconds, floor=floor, linear_share=reached, ratio=whole / seconds)


def sequential(engine: Engine, name: str, layer: int, ref: float) -> None:
    sets = [[w] for w in make(60)]
    def scan() -> None:
        for s in sets:
            engine.importance(s, [ROWS], layer)
    scan()
    each = wall(scan) / len(sets)
    say(f"| {name} | {layer + 1} of {engine.layers} | {each * 1e3:.2f} | {ref * 1e3:.2f} | {ref / each:.1f}x | {each * math.ceil(DOCUMENT / NEW):.1f} |")
    FIGURES[f"{name} sequential layer {layer + 1}"] = dict(ms=each * 1e3, reference_ms=ref * 1e3, ratio=ref / each)


def stages(engine: Engine, shape: dict[str, int], rate: float, batch: int) -> None:
    ids = torch.randint(10, 150000, (batch, PADDED), device="cuda")
    rows = torch.arange(PADDED - 48, PADDED, device="cuda").expand(batch, -1).contiguous()
    valid, layer = torch.ones(batch, 48, device="cuda"), engine.layers - 1
    with torch.inference_mode():
        hidden = engine.base.embed_tokens(ids)
        cos, sin = position_tables(engine.base, hidden, 0)
    fused, tokens = engine.trunk.layers[0], batch * PADDED
    q, k, v = (torch.randn(batch, PADDED, h, fused.dim, device="cuda", dtype=torch.bfloat16).transpose(1, 2) for h in (fused.heads, fused.kv, fused.kv))
    x = torch.randn(tokens, shape["hidden_size"], device="cuda", dtype=torch.bfloat16)
    wide = torch.randn(tokens, shape["intermediate_size"], device="cuda", dtype=torch.bfloat16)
    d, kv = shape["hidden_size"], fused.dim * fused.kv
    sdpa = torch.nn.functional.scaled_dot_product_attention
    lines = [
        ("the whole batch", lambda: engine.forward(ids, rows, valid, layer, None), sum(flops(shape, tokens, layer)), 1),
        ("embedding", lambda: engine.base.embed_tokens(ids), 0, 1),
        ("one layer", lambda: engine.trunk.step[0](hidden, cos, sin, None), 2 * tokens * (2 * d * d + 2 * d * kv + 3 * d * shape["intermediate_size"] + PADDED * d), layer),
        ("- qkv", lambda: x @ fused.qkv[0].t(), 2 * tokens * d * (d + 2 * kv), layer),
        (f"- attention ({engine.trunk.attention})", lambda: sdpa(q, k, v, is_causal=True, enable_gqa=True), 2 * tokens * PADDED * d, layer),
        ("- out", lambda: x @ fused.out[0].t(), 2 * tokens * d * d, layer),
        ("- gate, up", lambda: x @ fused.gate_up[0].t(), 4 * tokens * d * shape["intermediate_size"], layer),
        ("- down", lambda: wide @ fused.down[0].t(), 2 * tokens * d * shape["intermediate_size"], layer),
        ("retrieval layer", lambda: engine.retrieve(engine.base.layers[layer], engine.config, layer, hidden, rows, valid, cos, sin, None), 2 * tokens * d * kv, 1),
    ]
    say(f"\nstages, {batch} windows of {PADDED} tokens at once\n\n| stage | times | ms each | floor ms | of the matmul rate |\n|---|---|---|---|---|")
    for label, work, cost, times in lines:
        try:
            ms = cuda_ms(work)
            say(f"| {label} | {times} | {ms:.3f} | {cost / rate * 1e3:.3f} | {cost / rate * 1e3 / ms:.0%} |")
        except Exception as error:  # noqa: BLE001
            say(f"| {label} | failed: {type(error).__name__} {str(error)[:120]} |")


def agreement(a: Engine, b: Engine, layer: int) -> None:
    sets = make(4)
    found = [e.importance(sets, [ROWS] * 4, layer) for e in (a, b)]
    overlap = []
    for x, y in zip(*found):
        tops = [set(torch.tensor(v[1 : WINDOW - ROWS]).topk(300).indices.tolist()) for v in (x, y)]
        overlap.append(len(tops[0] & tops[1]) / 300)
    say(f"layer {layer + 1}: top 300 tokens FP8 and bf16 share: {statistics.mean(overlap):.1%} (random weights: attention is near uniform, a hard case)")


def bench(name: str, rate: float, fp8: bool) -> None:
    shape, big = SHAPES[name], name == "7b"
    torch.set_default_device("cuda")
    model = AutoModelForCausalLM.from_config(Qwen2Config(**shape, max_position_embeddings=32768), dtype=torch.bfloat16).eval()
    torch.set_default_device("cpu")
    ref = reference(model, 10 if big else 50)
    share, ways = (0.1, ("table", "round1")) if big else (1.0, ("table", "round1", "rounds"))
    engine = Engine(model, NoTokenizer(), compiled=True, graphs=True, max_batch_tokens=48128 if big else 96256)
    last, middle = engine.layers - 1, engine.layers // 2
    head = "| shape | windows | layers run | count | s per 1M | floor s | linear share | all matmuls | reference s | ratio |\n|---|---|---|---|---|---|---|---|---|---|"
    def guarded(title: str, works: list[Any]) -> None:
        say(f"\n{title}")
        for work in works:
            try:
                work()
            except Exception:  # noqa: BLE001
                say("failed: " + traceback.format_exc()[-600:])
    guarded(f"tournament{' (a tenth of the windows run, scaled up)' if big else ''}\n\n{head}", [
        lambda layer=layer, way=way: table(engine, shape, name, way, layer, rate, ref, share) for layer in (last, middle) for way in ways
    ])
    guarded("sequential, one window at a time, CUDA graphs\n\n| shape | layers run | ms a window | reference ms | ratio | s per 1M |\n|---|---|---|---|---|---|", [
        lambda layer=layer: sequential(engine, name, layer, ref) for layer in (last, middle)
    ])
    guarded("", [lambda: stages(engine, shape, rate, 16 if big else 64)])
    if fp8:
        eight = Engine(model, NoTokenizer(), compiled=True, max_batch_tokens=engine.max_batch_tokens, fp8=True)
        guarded(f"FP8 linear layers\n\n{head}", [
            *(lambda layer=layer, way=way: table(eight, shape, name + " fp8", way, layer, rate, ref, share) for layer in (last, middle) for way in (("table",) if big else ("table", "rounds"))),
            *(lambda layer=layer: agreement(engine, eight, layer) for layer in (last, middle)),
        ])


def fit(window: int) -> None:
    """Sets the sizes that follow from a window's: 60 tokens of prompt and question, 476 with a cache of 400 and its share of the padding."""
    global WINDOW, NEW, ROUND1, PADDED
    WINDOW, NEW, ROUND1, PADDED = window, window - 476, window - 60, bucket(window)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--shapes", default="0.5b,7b")
    parser.add_argument("--window", type=int, default=WINDOW, help="tokens in a window, prompt and question included")
    parser.add_argument("--no-fp8", action="store_true")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if not torch.cuda.is_available():
        sys.exit("this bench needs a CUDA GPU")
    fit(options.window)
    rate = matmul_rate()
    say(f"{torch.cuda.get_device_name()}, torch {torch.__version__}, bf16 matmul 8192³: {rate / 1e12:.0f} TFLOP/s, kept up for 1.5 s {sustained_rate() / 1e12:.0f}, {time.strftime('%Y-%m-%d')}")
    for name in options.shapes.split(","):
        try:
            bench(name, rate, not options.no_fp8)
        except Exception:  # noqa: BLE001
            traceback.print_exc()
        torch.cuda.empty_cache()
        torch._dynamo.reset()
        if options.json:
            options.json.write_text(json.dumps(FIGURES, indent=1), "utf-8")


if __name__ == "__main__":
    main()
