"""Clocks, the chip's own rates, and the floors that follow from them."""

from __future__ import annotations

import time
from typing import Any

import torch


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


def host_ms(work: Any, repeats: int = 3) -> float:
    return min(wall(work) for _ in range(repeats)) * 1e3


def wall(work: Any) -> float:
    torch.cuda.synchronize()
    start = time.perf_counter()
    work()
    torch.cuda.synchronize()
    return time.perf_counter() - start


class Chip:
    """
    `burst` and `kept`: FLOP/s of a bf16 matmul of 8192³, at once and after as long as a scan takes, when the chip has lowered its clock;
    `memory` and `bus`: bytes/s of a copy on the chip (read and written both counted) and of one from pinned host memory.
    """

    def __init__(self, seconds: float = 1.5) -> None:
        a, b = (torch.randn(8192, 8192, device="cuda", dtype=torch.bfloat16) for _ in range(2))
        once = 2 * 8192**3
        self.burst = once / (cuda_ms(lambda: a @ b, 20) * 1e-3)
        repeats = int(seconds * 7e14 / once)
        cuda_ms(lambda: a @ b, repeats, 3)
        self.kept = once / (cuda_ms(lambda: a @ b, repeats, 0) * 1e-3)
        x, y = (torch.empty(2**30, dtype=torch.uint8, device="cuda") for _ in range(2))
        self.memory = 2 * 2**30 / (cuda_ms(lambda: x.copy_(y)) * 1e-3)
        host = torch.empty(2**28, dtype=torch.uint8, pin_memory=True)
        self.bus = 2**28 / (cuda_ms(lambda: x[: 2**28].copy_(host, non_blocking=True), 3, 1) * 1e-3)

    def floor(self, flops: float, moved: float = 0) -> float:
        """Seconds that the chip needs at the burst rate, or to move the bytes, whichever is more."""
        return max(flops / self.burst, moved / self.memory)

    def __str__(self) -> str:
        return (
            f"{torch.cuda.get_device_name()}, torch {torch.__version__}, {time.strftime('%Y-%m-%d')}: bf16 matmul 8192³ "
            f"{self.burst / 1e12:.0f} TFLOP/s, kept up {self.kept / 1e12:.0f}; copy {self.memory / 1e12:.2f} TB/s, "
            f"from the host {self.bus / 1e9:.0f} GB/s"
        )
