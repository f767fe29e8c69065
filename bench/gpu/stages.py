"""Where a scan's time goes: each stage of one batch by itself, and what a whole scan makes of it, beside the least the chip could take."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from transformers import PreTrainedTokenizerFast

from gated import by_row, gated, gated_eight, times
from measure import Chip, cuda_ms, host_ms
from plan import Batch
from prompt import Prompt, by_sentence
from retrieval import position_tables
from wire import encode_half

ROOT = Path(__file__).parents[2]


def say(label: str, times: int, ms: float, floor: float, batches: float) -> None:
    whole = ms * times * batches / 1e3
    least, share = (f"{floor * 1e3:.3f}", f"{floor * 1e3 / ms:.0%}") if floor else ("–", "–")
    print(f"| {label} | {times} | {ms:.3f} | {least} | {share} | {whole:.3f} |", flush=True)


def attempt(label: str, times: int, work: Any, floor: float, batches: float, clock: Any = cuda_ms) -> float:
    """The time of the stage in ms; 0 where it failed."""
    try:
        ms = clock(work)
    except Exception as error:  # noqa: BLE001
        print(f"| {label} | failed: {type(error).__name__} {' '.join(str(error).split())[:120]} |", flush=True)
        return 0.0
    say(label, times, ms, floor, batches)
    return ms


def stages(engine: Any, eight: Any, chip: Chip, windows: int, length: int, scan_windows: int) -> None:
    """`windows` of `length` tokens in a batch; a scan has `scan_windows` in all. `eight`: the same model's engine in FP8."""
    config, layer, fused = engine.config, engine.places.layers - 1, engine.trunk.layers[0]
    tokens, batches = windows * length, scan_windows / windows
    d, ff, kv = config.hidden_size, config.intermediate_size, fused.dim * fused.kv
    ids = torch.randint(10, 150000, (windows, length), device="cuda")
    rows = torch.arange(length - 48, length, device="cuda").expand(windows, -1).contiguous()
    valid = torch.ones(windows, 48, device="cuda")
    with torch.inference_mode():
        hidden = engine.base.embed_tokens(ids)
        tables, plain = engine.trunk.tables(0, hidden), position_tables(engine.base, hidden, layer)
    flat = hidden.flatten(0, 1).clone()
    q, k, v = (torch.randn(windows, length, h, fused.dim, device="cuda", dtype=torch.bfloat16).transpose(1, 2) for h in (fused.heads, fused.kv, fused.kv))
    narrow, wide = (torch.randn(tokens, n, device="cuda", dtype=torch.bfloat16) for n in (d, ff))
    print(f"\nstages, {windows} windows of {length} tokens in a batch, {batches:.1f} batches a scan\n")
    print("| stage | a batch | ms each | floor ms | floor / time | s a scan |\n|---|---|---|---|---|---|", flush=True)
    gate_up, down = fused.gate_up[0], fused.down[0]
    attention = 2 * tokens * length * d

    def product(n: int, m: int) -> tuple[float, float]:
        """FLOPs, and the bytes of the input, the weight and the output, of a product from n to m numbers a token."""
        return 2.0 * tokens * n * m, 2.0 * (tokens * (n + m) + n * m)

    linear = sum(product(*x)[0] for x in ((d, d + 2 * kv), (d, d), (d, 2 * ff), (ff, d)))
    attempt("the whole batch", 1, lambda: engine.forward(ids, rows, valid, ((layer, None),)), chip.floor((linear + attention) * layer), batches)
    attempt("embedding", 1, lambda: engine.base.embed_tokens(ids), chip.floor(0, 4 * tokens * d), batches)
    one = attempt("one layer", layer, lambda: engine.trunk.step[0](hidden, *tables), chip.floor(linear + attention), batches)
    swiglu = torch.compile(lambda y: F.silu(y[..., :ff]) * y[..., ff:], dynamic=False)
    both = F.linear(narrow, gate_up)
    in_one = [("gate, up, SwiGLU in one kernel", lambda: gated(narrow, gate_up), (2.0 * tokens * d * 2 * ff, 2.0 * (tokens * (d + ff) + 2 * d * ff)))]
    apart = [
        ("gate, up", lambda: F.linear(narrow, gate_up), product(d, 2 * ff)),
        ("SwiGLU", lambda: swiglu(both), (0.0, 6.0 * tokens * ff)),
    ]
    work = [
        ("qkv", lambda: F.linear(narrow, *fused.qkv), product(d, d + 2 * kv)),
        (f"attention ({engine.trunk.attention})", lambda: F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True), (attention, 0.0)),
        ("out, added to the residual", lambda: flat.addmm_(narrow, fused.out[0].t()), product(d, d)),
        *(in_one if fused.one_kernel else apart),
        ("down, added to the residual", lambda: flat.addmm_(wide, down.t()), product(ff, d)),
    ]
    parts = [attempt(f"- {name}", layer, do, chip.floor(*cost), batches) for name, do, cost in work]
    # bf16 values read and written: norms 4d, positions 2(d + kv)
    say("- norms, positions: what is left of it", layer, one - sum(parts), chip.floor(0, 2 * tokens * (6 * d + 2 * kv)), batches)
    retrieve = lambda: engine.retrieve(engine.base.layers[layer], config, None, hidden, rows, valid, *plain, None)  # noqa: E731
    attempt("retrieval layer", 1, retrieve, chip.floor(2 * tokens * d * kv, 2 * tokens * d), batches)
    print("| not in the engine: |", flush=True)
    for name, do, cost in apart if fused.one_kernel else []:
        attempt(f"- {name}", layer, do, chip.floor(*cost), batches)
    attempt("- out, written", layer, lambda: F.linear(narrow, fused.out[0]), 0, batches)
    attempt("- down, written", layer, lambda: F.linear(wide, down), 0, batches)
    del both
    print("| in FP8, floors at twice the rate of bf16: |", flush=True)
    mlp = eight.trunk.layers[0]
    attempt("one layer, FP8 in the gated MLP", layer, lambda: eight.trunk.step[0](hidden, *tables), chip.floor(linear + attention - 3.0 * tokens * d * ff), batches)
    halves = chip.floor(2.0 * tokens * d * ff), chip.floor(1.0 * tokens * d * ff)
    (small, scale), (weight, weight_scale), (last, last_scale) = by_row(narrow), mlp.gate_up_eight, mlp.down_eight
    if mlp.one_kernel:
        y, y_scale = gated_eight(small, scale, weight, weight_scale)
        attempt("- gate, up, SwiGLU, quantized, in one kernel", layer, lambda: gated_eight(small, scale, weight, weight_scale), halves[0], batches)
        attempt("- down, scales of 128", layer, lambda: times(y, y_scale.t(), last, last_scale, fast=False), halves[1], batches)
    else:
        y, y_scale = by_row(wide)
        attempt("- gate, up", layer, lambda: times(small, scale, weight, weight_scale.t()), halves[0], batches)
        attempt("- down", layer, lambda: times(y, y_scale, last, last_scale.t()), halves[1], batches)


def host(engine: Any, chip: Chip, windows: int, length: int, scan_windows: int) -> None:
    """What the host does for a scan of the text in examples/, repeated, with the embedded reader's tokenizer."""
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(ROOT / "reader/weights/tokenizer.json"))
    text = "".join(sorted(f.read_text("utf-8") for f in (ROOT / "examples").glob("*.txt")))
    sentences = [s + "\n" for s in text.split("\n") if s]
    prompt = Prompt(tokenizer, length)
    each = len(prompt.encode_windows([sentences])[0][0])
    window = (sentences * (length // each + 1))[: max(1, len(sentences) * (length - 60) // each)]
    texts, batches = [window] * windows, scan_windows / windows
    encoded = prompt.encode_windows(texts)
    asked = prompt.pieces("Who came?")
    made = [prompt.window(w, asked, e) for w, e in zip(texts, encoded)]
    ids, rows = [w.ids for w in made], [w.rows for w in made]
    batch = Batch(list(range(windows)), length)
    packed = engine.pack(batch, ids, rows, True)
    scores = torch.rand(windows, length)
    listed = scores.tolist()
    moved = sum(x.numel() * x.element_size() for x in packed)
    attempt("host: tokenize", 1, lambda: prompt.encode_windows(texts), 0, batches, host_ms)
    attempt("host: windows", 1, lambda: [prompt.window(w, asked, e) for w, e in zip(texts, encoded)], 0, batches, host_ms)
    attempt("host: pack", 1, lambda: engine.pack(batch, ids, rows, True), 0, batches, host_ms)
    attempt("transfer", 1, lambda: [x.to("cuda", non_blocking=True) for x in packed], moved / chip.bus, batches)
    on_chip, back = scores.cuda(), torch.empty(scores.shape, pin_memory=True)
    attempt("copy back", 1, lambda: back.copy_(on_chip, non_blocking=True), 4 * scores.numel() / chip.bus, batches)
    attempt("host: lists", 1, lambda: back.tolist(), 0, batches, host_ms)
    attempt("host: float16, base64", 1, lambda: [[encode_half(s) for s in by_sentence(w, v)] for w, v in zip(made, listed)], 0, batches, host_ms)
