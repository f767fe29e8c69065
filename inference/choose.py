"""Ways to compute the same thing, timed once at the start on the model's own shape."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F

import gated
from gated import by_row, gated_eight, in_blocks, times

ROWS, LENGTH = 16384, 1536


def timed(work: Callable[[], Any], repeats: int = 10) -> float:
    """Milliseconds of a call on the GPU."""
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    with torch.inference_mode():
        for i in range(3 + repeats):
            if i == 3:
                torch.cuda.synchronize()
                start.record()
            work()
        end.record()
        torch.cuda.synchronize()
    return start.elapsed_time(end) / repeats


def fastest_attention(config: Any, device: torch.device, dtype: torch.dtype) -> str:
    """Times cuDNN's attention against the flash kernel and leaves the faster one on."""
    from torch.nn.attention import SDPBackend, sdpa_kernel

    heads, dim = config.num_attention_heads, getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    q = torch.randn(8, LENGTH, heads, dim, device=device, dtype=dtype).transpose(1, 2)
    k = torch.randn(8, LENGTH, config.num_key_value_heads, dim, device=device, dtype=dtype).transpose(1, 2)
    found: dict[str, float] = {}
    for name, backend in (("flash", SDPBackend.FLASH_ATTENTION), ("cudnn", SDPBackend.CUDNN_ATTENTION)):
        try:
            with sdpa_kernel(backend):
                found[name] = timed(lambda: F.scaled_dot_product_attention(q, k, k, is_causal=True, enable_gqa=True))
        except RuntimeError:
            continue
    best = min(found, key=found.get) if found else "flash"  # type: ignore[arg-type]
    torch.backends.cuda.enable_flash_sdp(best == "flash")
    torch.backends.cuda.enable_cudnn_sdp(best == "cudnn")
    return best


def one_kernel_pays(config: Any, device: torch.device, dtype: torch.dtype, fp8: bool) -> bool:
    """Times gate, up and SwiGLU in gated.py's kernel against the library's matmul and a compiled SwiGLU; in FP8, down with them."""
    wide, inner = config.hidden_size, config.intermediate_size
    fits = config.hidden_act == "silu" and not getattr(config, "mlp_bias", False) and wide % 16 == 0 and inner % (gated.BLOCK if fp8 else 16) == 0
    if not fits or dtype != torch.bfloat16 or gated.triton is None or torch.cuda.get_device_capability(device) < (9, 0):
        return False
    x = torch.randn(ROWS, wide, device=device, dtype=dtype)
    weight = (torch.randn(2 * inner, wide, device=device) / wide**0.5).to(dtype)
    one, apart = (eight_ways if fp8 else ways)(x, weight)
    try:
        return timed(one) < timed(apart)
    except Exception:  # noqa: BLE001  a compiler or a driver that can't build the kernel
        return False


def swiglu(y: torch.Tensor) -> torch.Tensor:
    gate, up = y.chunk(2, -1)
    return F.silu(gate) * up


def ways(x: torch.Tensor, weight: torch.Tensor) -> tuple[Callable[[], Any], Callable[[], Any]]:
    after = torch.compile(swiglu, dynamic=False)
    return lambda: gated.gated(x, weight), lambda: after(F.linear(x, weight))


def eight_ways(x: torch.Tensor, weight: torch.Tensor) -> tuple[Callable[[], Any], Callable[[], Any]]:
    down = weight[: weight.shape[0] // 2].t().contiguous()
    (x, scale), (weight, weight_scale), (rows, rows_scale), (blocks, blocks_scale) = by_row(x), by_row(weight), by_row(down), in_blocks(down)
    after = torch.compile(lambda y: by_row(swiglu(y)), dynamic=False)

    def one() -> None:
        y, y_scale = gated_eight(x, scale, weight, weight_scale)
        times(y, y_scale.t(), blocks, blocks_scale, fast=False)

    def apart() -> None:
        times(*after(times(x, scale, weight, weight_scale.t())), rows, rows_scale.t())

    return one, apart
