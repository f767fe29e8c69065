"""Where a scan's time goes: each stage of one batch by itself, and what a whole scan makes of it, beside the least the chip could take."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from transformers import PreTrainedTokenizerFast

from measure import Chip, cuda_ms, host_ms
from plan import Batch
from prompt import Prompt, by_sentence
from retrieval import position_tables
from trunk import quantize
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
        print(f"| {label} | failed: {type(error).__name__} {str(error)[:120]} |", flush=True)
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
    products = [("qkv", narrow, fused.qkv, d + 2 * kv), ("out", narrow, fused.out, d), ("gate, up", narrow, fused.gate_up, 2 * ff), ("down", wide, fused.down, d)]
    attention = 2 * tokens * length * d
    linear = sum(2 * tokens * x.shape[1] * out for _, x, _, out in products)
    attempt("the whole batch", 1, lambda: engine.forward(ids, rows, valid, ((layer, None),)), chip.floor((linear + attention) * layer), batches)
    attempt("embedding", 1, lambda: engine.base.embed_tokens(ids), chip.floor(0, 4 * tokens * d), batches)
    one = attempt("one layer", layer, lambda: engine.trunk.step[0](hidden, *tables), chip.floor(linear + attention), batches)
    parts = [
        attempt(
            f"- {name}", layer, lambda x=x, weight=weight, bias=bias: F.linear(x, weight, bias),
            chip.floor(2 * tokens * x.shape[1] * out, 2 * (tokens * (x.shape[1] + out) + weight.numel())), batches,
        )
        for name, x, (weight, bias), out in products
    ]
    parts.append(attempt(
        f"- attention ({engine.trunk.attention})", layer,
        lambda: F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True), chip.floor(attention), batches,
    ))
    # bf16 values read and written: norms 2d + 4d, positions 2(d + kv), the gate 3ff, the last residual 3d
    say("- norms, positions, gate, residuals: what is left of it", layer, one - sum(parts), chip.floor(0, 2 * tokens * (11 * d + 2 * kv + 3 * ff)), batches)
    attempt("retrieval layer", 1, lambda: engine.retrieve(engine.base.layers[layer], config, None, hidden, rows, valid, *plain, None), chip.floor(2 * tokens * d * kv, 2 * tokens * d), batches)
    attempt("one layer, FP8 in the gated MLP", layer, lambda: eight.trunk.step[0](hidden, *tables), 0, batches)
    print("| not in the engine: |", flush=True)
    for name, x, (weight, _), out in products:
        if out == d:
            attempt(f"- {name}, added to the residual where it lies", layer, lambda x=x, weight=weight: flat.addmm_(x, weight.t()), 0, batches)
    for name, x, (weight, _), out in products[2:]:
        (small, by_row), (narrow_weight, by_output) = quantize(x), quantize(weight)
        unit = torch.ones((), device="cuda")
        for note, scales in (("scaled by row and output, as the engine does", (by_row.t().contiguous(), by_output)), ("one scale", (unit, unit))):
            attempt(
                f"- {name} in FP8, inputs ready, {note}", layer,
                lambda a=small, b=narrow_weight, s=scales: torch._scaled_mm(a, b.t(), scale_a=s[0], scale_b=s[1], out_dtype=torch.bfloat16, use_fast_accum=True),
                0, batches,
            )


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
