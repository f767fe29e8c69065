"""
Scores the requests that `npm run bench -- endpoint --write FILE` wrote, with the embedded reader's weights on this machine's engine.

    python bench/gpu/parity.py requests.json replies.json [--model reader/weights] [--dtype bfloat16]

The replies go back to `npm run bench -- endpoint --scores FILE`. It runs on a GPU where one is, in bfloat16 unless told otherwise, else on
the CPU, in float32.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "inference"))

import torch

from engine import load


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("requests", type=Path)
    parser.add_argument("replies", type=Path)
    parser.add_argument("--model", default=str(ROOT / "reader/weights"))
    parser.add_argument("--dtype", choices=["bfloat16", "float32"])
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--fp8", action="store_true")
    options = parser.parse_args()
    dtype = getattr(torch, options.dtype) if options.dtype else None
    engine = load(options.model, dtype=dtype, compiled=options.compile, graphs=options.compile, fp8=options.fp8)
    replies = engine.score_many(json.loads(options.requests.read_text("utf-8")))
    options.replies.write_text(json.dumps(replies), "utf-8")
    failed = [r["error"]["code"] for r in replies if "error" in r]
    print(f"{len(replies)} requests on {engine.device.type} in {engine.model.dtype}, {len(failed)} failed {failed[:3]}")


if __name__ == "__main__":
    main()
