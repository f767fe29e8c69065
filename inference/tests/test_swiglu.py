"""The MLP's one kernel against the plain way: on a GPU, or in Triton's interpreter where TRITON_INTERPRET=1 is set."""

from __future__ import annotations

import os

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("triton")
import swiglu  # noqa: E402

INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"


@pytest.mark.skipif(not INTERPRETED and not torch.cuda.is_available(), reason="the kernel needs a GPU or TRITON_INTERPRET=1")
@pytest.mark.parametrize("rows", [1, 128, 333])
def test_one_kernel_is_the_plain_way(rows):
    device, dtype = ("cpu", torch.float32) if INTERPRETED else ("cuda", torch.bfloat16)
    x, weight = torch.randn(rows, 192).to(device, dtype), torch.randn(512, 192).to(device, dtype)
    assert swiglu.fits(weight) and not swiglu.fits(weight[:, :100])
    expected = swiglu.plain(x.float(), weight.float())
    found = swiglu.fused(x, weight).float()
    torch.testing.assert_close(found, expected, rtol=2e-2, atol=0.02 * expected.abs().max().item())
