"""
The front half of a gated MLP as one Triton kernel: silu(x @ gate) * (x @ up), where the halves never reach memory. A wide MLP writes and
reads them otherwise at the cost of a fifth of the matmul. Where Triton is missing or slower than the plain way, that one runs.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

try:
    import triton
    import triton.language as tl
except ImportError:
    triton = None

ROWS, COLUMNS, DEPTH, GROUP = 128, 128, 64, 8
# Below so many rows there are too few tiles for the chip, and the library's matmul has better shapes.
LEAST_ROWS = 8192

if triton is not None:

    @triton.jit
    def swiglu_kernel(
        x, weight, out, rows, wide, depth,
        BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr, GROUPED: tl.constexpr,
    ):
        # Tiles in groups of rows, so that neighbours find their operands in the L2 cache.
        tile, across, down = tl.program_id(0), tl.cdiv(wide, BN), tl.cdiv(rows, BM)
        group = tile // (GROUPED * across)
        first = group * GROUPED
        height = min(down - first, GROUPED)
        m = (first + (tile % (GROUPED * across)) % height) * BM + tl.arange(0, BM)
        n = ((tile % (GROUPED * across)) // height) * BN + tl.arange(0, BN)
        k = tl.arange(0, BK)
        # 64 bits: the rows of a large batch times the width pass 2^31.
        line = m.to(tl.int64)
        a = x + line[:, None] * depth + k[None, :]
        g = weight + n[None, :] * depth + k[:, None]
        u = g + wide * depth
        gate = tl.zeros((BM, BN), dtype=tl.float32)
        up = tl.zeros((BM, BN), dtype=tl.float32)
        inside = m[:, None] < rows
        for _ in range(0, depth, BK):
            left = tl.load(a, mask=inside, other=0.0)
            gate = tl.dot(left, tl.load(g), gate)
            up = tl.dot(left, tl.load(u), up)
            a += BK
            g += BK
            u += BK
        value = gate * tl.sigmoid(gate) * up
        tl.store(out + line[:, None] * wide + n[None, :], value.to(out.dtype.element_ty), mask=inside)


@torch.library.custom_op("sluice::swiglu", mutates_args=())
def fused(x: Tensor, weight: Tensor) -> Tensor:
    """`x` [rows, depth], `weight` [2 * wide, depth] with gate above up; both contiguous."""
    rows, depth = x.shape
    wide = weight.shape[0] // 2
    out = torch.empty(rows, wide, device=x.device, dtype=x.dtype)
    tiles = triton.cdiv(rows, ROWS) * triton.cdiv(wide, COLUMNS)
    swiglu_kernel[(tiles,)](
        x, weight, out, rows, wide, depth, BM=ROWS, BN=COLUMNS, BK=DEPTH, GROUPED=GROUP, num_warps=8, num_stages=4
    )
    return out


@fused.register_fake
def _(x: Tensor, weight: Tensor) -> Tensor:
    return x.new_empty(x.shape[0], weight.shape[0] // 2)


def plain(x: Tensor, weight: Tensor) -> Tensor:
    gate, up = F.linear(x, weight).chunk(2, -1)
    return F.silu(gate) * up


def fits(weight: Tensor) -> bool:
    return triton is not None and weight.shape[0] % (2 * COLUMNS) == 0 and weight.shape[1] % DEPTH == 0


def pays(weight: Tensor) -> bool:
    """Times both ways on this weight, and holds the kernel to the plain way's values."""
    if not fits(weight) or not weight.is_cuda or weight.dtype not in (torch.bfloat16, torch.float16):
        return False
    x = torch.randn(2 * LEAST_ROWS, weight.shape[1], device=weight.device, dtype=weight.dtype)
    compiled = torch.compile(plain, dynamic=False)
    try:
        with torch.inference_mode():
            expected, found = compiled(x, weight).float(), fused(x, weight).float()
            close = (expected - found).norm() <= 0.01 * expected.norm()
            return bool(close) and milliseconds(fused, x, weight) < milliseconds(compiled, x, weight)
    except Exception:  # noqa: BLE001 - a compiler's failure, whatever its kind, leaves the plain way
        return False


def milliseconds(work: Any, *arguments: Tensor, repeats: int = 20) -> float:
    for _ in range(5):
        work(*arguments)
    start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    start.record()
    for _ in range(repeats):
        work(*arguments)
    end.record()
    torch.cuda.synchronize()
    return start.elapsed_time(end) / repeats
