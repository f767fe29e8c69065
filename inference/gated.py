"""
Gate, up and SwiGLU as one matmul: the two products, the widest tensors of a layer, are never written. The weight's rows alternate, a row
of gate and a row of up, so that the two numbers that belong together are neighbours in one thread's registers.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

try:
    import triton
    import triton.language as tl
    from triton.tools.tensor_descriptor import TensorDescriptor
except ImportError:
    triton = None

EIGHT, LARGEST, BLOCK = torch.float8_e4m3fn, 448.0, 128
ROWS, COLUMNS, GROUP, WARPS, STAGES = 128, BLOCK, 8, 8, 3


def plain(x: Tensor, weight: Tensor) -> Tensor:
    """What the kernel computes, for other devices."""
    y = F.linear(x, weight)
    return F.silu(y[..., 0::2]) * y[..., 1::2]


def by_row(x: Tensor) -> tuple[Tensor, Tensor]:
    """FP8 (e4m3) with a scale for each row."""
    scale = x.float().abs().amax(-1, keepdim=True).clamp(min=1e-12) / LARGEST
    return (x.float() / scale).to(EIGHT), scale


def by_block(x: Tensor) -> tuple[Tensor, Tensor]:
    """FP8 with a scale for each 128 columns of a row: [rows, columns], [columns / 128, rows]."""
    parts = x.float().view(x.shape[0], -1, BLOCK)
    scale = parts.abs().amax(-1).clamp(min=1e-12) / LARGEST
    return (parts / scale[..., None]).to(EIGHT).view(x.shape), scale.t().contiguous()


def in_blocks(weight: Tensor) -> tuple[Tensor, Tensor]:
    """
    FP8 with one scale, in a table as if each 128 rows by 128 columns had its own: what cuBLAS multiplies fastest by `by_block`'s. torch
    2.11 and cuBLAS don't agree how far apart the table's rows are, which is no matter where all of it is the same.
    """
    scale = weight.float().abs().amax().clamp(min=1e-12) / LARGEST
    down, across = (-(-n // BLOCK) for n in weight.shape)
    table = scale.repeat(down * (-(-across // 4) * 4))[: down * across].view(down, across)
    return (weight.float() / scale).to(EIGHT), table.t()


def times(x: Tensor, scale: Tensor, weight: Tensor, weight_scale: Tensor, fast: bool = True) -> Tensor:
    """x Wᵀ in FP8, scaled, in bf16."""
    return torch._scaled_mm(x, weight.t(), scale_a=scale, scale_b=weight_scale, out_dtype=torch.bfloat16, use_fast_accum=fast)


if triton is not None:

    @triton.jit
    def gated_kernel(
        x, weight, out, x_scale, weight_scale, out_scale, rows, columns,
        K: tl.constexpr, FP8: tl.constexpr, BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr, GROUP: tl.constexpr, PROGRAMS: tl.constexpr,
    ):
        down, across = tl.cdiv(rows, BM), tl.cdiv(columns, BN)
        for tile in tl.range(tl.program_id(0), down * across, PROGRAMS, flatten=True):
            # GROUP tiles below each other before the next to the right: their weights stay in the cache
            first = tile // (GROUP * across) * GROUP
            size = min(down - first, GROUP)
            m = (first + tile % (GROUP * across) % size) * BM
            n = tile % (GROUP * across) // size * BN
            sums = tl.zeros((BM, 2 * BN), tl.float32)
            for k in range(0, K, BK):
                sums = tl.dot(x.load([m, k]), weight.load([2 * n, k]).T, sums)
            if FP8:
                at, of = m + tl.arange(0, BM), 2 * n + tl.arange(0, 2 * BN)
                sums = sums * tl.load(x_scale + at, at < rows, 0.0)[:, None] * tl.load(weight_scale + of, of < 2 * columns, 0.0)[None, :]
            gate, up = sums.reshape(BM, BN, 2).split()
            y = gate * tl.sigmoid(gate) * up
            if FP8:
                scale = tl.maximum(tl.max(tl.abs(y), 1), 1e-12) / 448.0
                tl.store(out_scale + n // BN * rows + at, scale, at < rows)
                out.store([m, n], (y / scale[:, None]).to(tl.float8e4nv))
            else:
                out.store([m, n], y.to(tl.bfloat16))


def launch(x: Tensor, weight: Tensor, out: Tensor, scales: Any = (None, None, None)) -> None:
    rows, wide = x.shape
    columns, deep = out.shape[1], 128 // x.element_size()
    blocks = (([ROWS, deep], x), ([2 * COLUMNS, deep], weight), ([ROWS, COLUMNS], out))
    tiles = triton.cdiv(rows, ROWS) * triton.cdiv(columns, COLUMNS)
    programs = min(tiles, torch.cuda.get_device_properties(x.device).multi_processor_count)
    gated_kernel[(programs,)](
        *(TensorDescriptor.from_tensor(t, block) for block, t in blocks), *scales, rows, columns,
        wide, scales[0] is not None, ROWS, COLUMNS, deep, GROUP, programs, num_stages=STAGES, num_warps=WARPS,
    )


@torch.library.custom_op("sluice::gated", mutates_args=())
def gated(x: Tensor, weight: Tensor) -> Tensor:
    """silu(gate) * up of the rows of x [rows, wide], in bf16."""
    if not x.is_cuda:
        return plain(x, weight)
    out = x.new_empty(x.shape[0], weight.shape[0] // 2)
    launch(x.contiguous(), weight, out)
    return out


@gated.register_fake
def _(x: Tensor, weight: Tensor) -> Tensor:
    return x.new_empty(x.shape[0], weight.shape[0] // 2)


@torch.library.custom_op("sluice::gated_eight", mutates_args=())
def gated_eight(x: Tensor, x_scale: Tensor, weight: Tensor, weight_scale: Tensor) -> tuple[Tensor, Tensor]:
    """The same from FP8 to FP8: `x` and `weight` with a scale for each row, what comes out as from `by_block`."""
    rows, columns = x.shape[0], weight.shape[0] // 2
    if not x.is_cuda:
        return by_block(plain(x.float() * x_scale, weight.float() * weight_scale))
    out, scale = x.new_empty(rows, columns), x_scale.new_empty(columns // BLOCK, rows)
    launch(x.contiguous(), weight, out, (x_scale, weight_scale, scale))
    return out, scale


@gated_eight.register_fake
def _(x: Tensor, x_scale: Tensor, weight: Tensor, weight_scale: Tensor) -> tuple[Tensor, Tensor]:
    rows, columns = x.shape[0], weight.shape[0] // 2
    return x.new_empty(rows, columns), x_scale.new_empty(columns // BLOCK, rows)
