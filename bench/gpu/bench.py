"""
How fast the GPU engine scans, in one table: random weights of the Qwen2.5 shapes, 1,000,000 document tokens.

    python bench/gpu/bench.py [--json FILE]

Times start at token ids on the host and end at importance on the host. A window holds 60 tokens of prompt and question; for windows of
2,560 tokens:
  rounds      a tournament: 400 windows, then 300 tokens of each survive and are packed again, down to one window; a round waits for
              the one before: 455 windows
  round 1     the first of them alone
  sequential  one window at a time, each with a cache of 400 tokens and so 2,084 new ones: 480 windows
The reference way is the same model with eager attention, output_attentions and the LM head, one window at a time, at the paper's sizes:
1,500 tokens, 1,024 of them new, 977 windows. The rows that matter most come first; each is in FILE as soon as it is known.
"""

from __future__ import annotations

import argparse
import json
import sys
import traceback
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2] / "inference"))

import torch

from measure import Chip
from shape import PAPER_WINDOW, WINDOW, Bench
from stages import host, stages


def guarded(works: list[Any]) -> None:
    for work in works:
        try:
            work()
        except Exception:  # noqa: BLE001
            print("failed: " + traceback.format_exc()[-600:], flush=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if not torch.cuda.is_available():
        sys.exit("this bench needs a CUDA GPU")
    chip, figures = Chip(), {}
    figures["chip"] = {"what": str(chip), "burst": chip.burst, "kept_up": chip.kept, "memory": chip.memory, "bus": chip.bus}
    print(chip, flush=True)

    small = Bench("0.5B", chip, 40, 1, options.json, figures)
    last, middle = small.last, small.middle
    guarded([
        lambda: small.measure_reference(50),
        lambda: small.rounds(last, "bf16"),
        lambda: small.rounds(middle, "bf16"),
        lambda: small.sequential(last, "bf16", 60),
        lambda: small.sequential(middle, "bf16", 60),
        lambda: small.rounds(last, "FP8"),
        lambda: small.rounds(middle, "FP8"),
    ])
    large = Bench("7B", chip, 20, 0.1, options.json, figures)
    guarded([
        lambda: large.measure_reference(10),
        *(lambda k=k, n=n: large.sequential(n, k, 20) for k in ("bf16", "FP8") for n in (large.last, large.middle)),
        *(lambda k=k, n=n: large.rounds(n, k) for k in ("bf16", "FP8") for n in (large.last, large.middle)),
        small.ways,
        large.ways,
        lambda: stages(small.engine("bf16"), small.engine("FP8"), chip, 40, WINDOW, 455),
        lambda: host(small.engine("bf16"), chip, 40, WINDOW, 455),
        *(lambda b=b, n=n: b.agreement(n) for b in (small, large) for n in (b.last, b.middle)),
        lambda: stages(large.engine("bf16"), large.engine("FP8"), chip, 20, WINDOW, 455),
        lambda: small.header(),
        lambda: small.sequential(last, "FP8", 60),
        *(lambda k=k: small.rounds(last, k, PAPER_WINDOW) for k in ("bf16", "FP8")),
    ])


if __name__ == "__main__":
    main()
