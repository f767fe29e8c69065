"""Gate, up and SwiGLU as one matmul: the layout on any device, the kernel on a GPU."""

from __future__ import annotations

import copy

import pytest
import torch
from helpers import small_model
from test_parity import relative, windows

from engine import Engine
from gated import BLOCK, by_block, by_row, gated, gated_eight, in_blocks, plain, times
from trunk import Trunk

CUDA = pytest.mark.skipif(not torch.cuda.is_available(), reason="the kernel itself needs a GPU")


def off(found: torch.Tensor, wanted: torch.Tensor) -> float:
    return ((found.float() - wanted.float()).norm() / wanted.float().norm()).item()


def whole(small: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    """What `by_block` took apart."""
    return (small.float().view(small.shape[0], -1, BLOCK) * scale.t()[..., None]).view(small.shape)


@pytest.mark.parametrize("family", ["llama", "qwen2", "qwen3", "mistral"])
def test_rows_in_turns_change_nothing(family, tokenizer):
    """Neither for the engine nor for the stock modules, which look at the same weights."""
    model = small_model(family)
    untouched = copy.deepcopy(model)
    ids, rows = windows()
    wanted = Engine(untouched, tokenizer).importance(ids, rows, ((3, None),))
    engine = Engine(model, tokenizer)
    engine.trunk = Trunk(model, engine.base, one_kernel=True)
    assert engine.trunk.layers[0].one_kernel
    for a, b in zip(engine.importance(ids, rows, ((3, None),)), wanted):
        assert relative(a, b) < 1e-4
    one = torch.tensor(ids[:1])
    with torch.inference_mode():
        assert off(model(one).logits, untouched(one).logits) < 1e-5


def test_fp8_from_one_product_to_the_next():
    torch.manual_seed(1)
    x, weight = torch.randn(70, 64), torch.randn(2 * 256, 64) / 8
    y, scale = gated_eight(*by_row(x), *by_row(weight))
    assert (y.shape, scale.shape) == ((70, 256), (2, 70))
    assert 1e-3 < off(whole(y, scale), plain(x, weight)) < 0.06
    assert off(whole(*by_block(x.repeat(1, 2))), x.repeat(1, 2)) < 0.03


@CUDA
@pytest.mark.parametrize("rows", [64, 1000, 5000])
def test_the_kernel(rows):
    torch.manual_seed(1)
    wide, columns = 896, 768 + BLOCK
    x = torch.randn(rows, wide, device="cuda", dtype=torch.bfloat16)
    weight = (torch.randn(2 * columns, wide, device="cuda") / wide**0.5).bfloat16()
    assert off(gated(x, weight), plain(x.float(), weight.float())) < 5e-3
    (small, scale), (narrow, weight_scale) = by_row(x), by_row(weight)
    y, y_scale = gated_eight(small, scale, narrow, weight_scale)
    assert off(whole(y, y_scale), plain(small.float() * scale, narrow.float() * weight_scale)) < 0.03
    down = (torch.randn(wide, columns, device="cuda") / columns**0.5).bfloat16()
    last, table = in_blocks(down)
    assert off(last.float() * table[0, 0], down) < 0.03
    assert off(times(y, y_scale.t(), last, table, fast=False), whole(y, y_scale) @ (last.float() * table[0, 0]).t()) < 5e-3
