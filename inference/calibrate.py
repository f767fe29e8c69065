"""
Finds retrieval heads from labelled examples (QRHead's formula) and writes them to heads/<model>.json.

    python calibrate.py --model PATH --examples examples.jsonl --heads 16

An example a line: {"question": "...", "sentences": ["..."], "gold": [sentence numbers]}. A head's score is the attention mass its question
rows put on the gold sentences minus the same under the question "N/A", a row, averaged over the examples.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import torch

from prompt import Window
from retrieval import position_tables, row_attention, sliding_window


@torch.inference_mode()
def masses(engine: Any, window: Window) -> torch.Tensor:
    """Attention of a window's context positions in every layer and head, the mean over the question rows: [layers, heads, context]."""
    ids = torch.tensor([window.ids], device=engine.device)
    rows = torch.arange(len(window.ids) - window.rows, len(window.ids), device=engine.device)[None]
    hidden, found = engine.base.embed_tokens(ids), []
    for i, layer in enumerate(engine.base.layers):
        cos, sin = position_tables(engine.base, hidden, i)
        attention = row_attention(layer, engine.config, sliding_window(engine.config, i), hidden, rows, cos, sin, None)[0].mean(1)
        found.append(attention[:, window.start : window.start + len(window.kept)].cpu())
        hidden = engine.trunk.layers[i](hidden, *engine.trunk.tables(i, hidden))
    return torch.stack(found)


def head_scores(engine: Any, examples: list[dict[str, Any]]) -> torch.Tensor:
    """[layers, heads]: calibrated mass on the gold sentences, averaged over the examples."""
    total = torch.zeros(engine.places.layers, engine.places.heads)
    for example in examples:
        asked = engine.prompt.window(example["sentences"], example["question"])
        blank = engine.prompt.window(example["sentences"], "N/A")
        size = min(len(asked.kept), len(blank.kept))
        difference = masses(engine, asked)[..., :size] - masses(engine, blank)[..., :size]
        gold = set(example["gold"])
        chosen = torch.tensor([asked.owners[i] in gold for i in asked.kept[:size]])
        total += difference[..., chosen].sum(-1)
    return total / max(1, len(examples))


def best(scores: torch.Tensor, count: int) -> list[list[int]]:
    order = scores.flatten().argsort(descending=True)[:count].tolist()
    return [[i // scores.shape[1], i % scores.shape[1]] for i in order]


def main() -> None:
    from engine import load

    parser = argparse.ArgumentParser(description="find retrieval heads from labelled examples")
    parser.add_argument("--model", required=True)
    parser.add_argument("--examples", required=True, type=Path)
    parser.add_argument("--heads", type=int, default=16)
    parser.add_argument("--prompt", default="paper", choices=["paper", "chat"])
    options = parser.parse_args()
    engine = load(options.model, prompt=options.prompt)
    examples = [json.loads(line) for line in options.examples.read_text("utf-8").splitlines() if line.strip()]
    scores = head_scores(engine, examples)
    heads = best(scores, options.heads)
    target = Path(__file__).parent / "heads" / f"{engine.name.split('/')[-1]}.json"
    body = {
        "model": engine.name, "source": f"calibrated on {len(examples)} examples", "heads": heads,
        "scores": [round(scores[layer][head].item(), 5) for layer, head in heads],
    }
    target.write_text(json.dumps(body, indent=1) + "\n", "utf-8")
    print(f"{target.name}: {heads}")


if __name__ == "__main__":
    main()
