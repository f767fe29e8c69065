"""Importance against eager `output_attentions` in float32."""

from __future__ import annotations

import copy
import hashlib
import json
import os
from pathlib import Path

import pytest
import torch
from helpers import CONFIGS, eager_importance, save_reader, small_model
from transformers import AutoModelForCausalLM

from engine import Engine, load

DEVICES = ["cpu"] + (["cuda"] if torch.cuda.is_available() else [])
torch.backends.cuda.matmul.allow_tf32 = False
READER = Path(os.environ.get("SLUICE_READER", Path(__file__).parents[2] / "reader/weights"))


def relative(found: list[float], wanted: list[float]) -> float:
    a, b = torch.tensor(found), torch.tensor(wanted)
    return ((a - b).abs() / b.abs().clamp(min=1e-4 * b.abs().max().item())).max().item()


def windows(count: int = 7) -> tuple[list[list[int]], list[int]]:
    g = torch.Generator().manual_seed(3)
    lengths = [31, 150, 77, 64, 149, 20, 96][:count]
    return [torch.randint(5, 480, (n,), generator=g).tolist() for n in lengths], [9, 12, 5, 9, 3, 7, 11][:count]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("family", list(CONFIGS))
def test_equals_eager(family, device, tokenizer):
    model = small_model(family).to(device)
    reference = copy.deepcopy(model)
    engine = Engine(model, tokenizer)
    ids, rows = windows()
    for layer in (3, 2, 0):
        for heads in (None, (1, 2)):
            found = engine.importance(ids, rows, ((layer, heads),))
            for w, r, f in zip(ids, rows, found):
                assert relative(f, eager_importance(reference, w, r, layer, heads)) < 1e-4


@pytest.mark.parametrize("family", list(CONFIGS))
def test_ragged_batches_equal_one_by_one(family, tokenizer):
    engine = Engine(small_model(family), tokenizer)
    ids, rows = windows()
    together = engine.importance(ids, rows, ((3, None),))
    for i, w in enumerate(ids):
        assert relative(together[i], engine.importance([w], [rows[i]], ((3, None),))[0]) < 1e-4


@pytest.mark.skipif(not torch.cuda.is_available(), reason="compiled layers and CUDA graphs need a GPU")
@pytest.mark.parametrize("family", ["qwen2", "qwen3", "mistral"])
def test_compiled_graphs_equal_eager(family, tokenizer):
    model = small_model(family).to("cuda")
    reference = copy.deepcopy(model)
    engine = Engine(model, tokenizer, compiled=True, graphs=True)
    ids, rows = windows(4)
    for _ in range(2):
        for w, r, f in zip(ids, rows, engine.importance(ids, rows, ((2, None),))):
            assert relative(f, eager_importance(reference, w, r, 2)) < 1e-4


@pytest.mark.parametrize("family", ["qwen2", "gemma3", "phi3"])
def test_heads_of_several_layers_add_up(family, tokenizer):
    model = small_model(family)
    reference = copy.deepcopy(model)
    engine = Engine(model, tokenizer)
    engine.places.head_list = [[2, 3], [0, 1], [2, 0]]
    where = engine.places.where({"layer": "heads"})
    assert where == ((0, (1,)), (2, (0, 3)))
    ids, rows = windows()
    for w, r, f in zip(ids, rows, engine.importance(ids, rows, where)):
        parts = [eager_importance(reference, w, r, layer, heads) for layer, heads in where]
        assert relative(f, [sum(values) for values in zip(*parts)]) < 1e-4


@pytest.mark.parametrize("device", DEVICES)
def test_fp8_differs_and_stays_near(device, tokenizer):
    ids, rows = windows()
    plain, eight = (Engine(small_model("qwen3").to(device), tokenizer, fp8=on).importance(ids, rows, ((3, None),)) for on in (False, True))
    off = [sum(abs(x - y) for x, y in zip(a, b)) / sum(b) for a, b in zip(eight, plain)]
    assert 1e-3 < min(off) and max(off) < 0.1


@pytest.mark.parametrize("layers", [3, 8])
def test_a_reader_of_any_depth_loads(layers, tokenizer, tmp_path):
    """Its retrieval layer may be its last, and tensors of other heads beside it are passed over."""
    save_reader(tmp_path, tokenizer, layers, extra=layers == 8)
    engine = load(str(tmp_path), device="cpu")
    assert (engine.places.where({}), engine.places.layer("last")) == (((2, None),), layers - 1)
    assert engine.name == "sluice-reader@" + hashlib.sha256((tmp_path / "model.safetensors").read_bytes()).hexdigest()[:12]
    said = engine.describe()
    assert said["reduction"] == "mean" and not said["answers"] and said["settings"] == {"window_tokens": 197, "rank": "mass"}
    window = engine.prompt.window(["Nobody came. ", "It rained. " * 20], "Who came?")
    assert window.ids[0] == 0 and window.ids[-window.rows] == 2 and window.ids[-1] == 3
    found = engine.importance([window.ids], [window.rows], engine.places.where({}))[0]
    reference = AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32).eval()
    assert relative(found, eager_importance(reference, window.ids, window.rows, 2, mean=True)) < 1e-4


@pytest.mark.skipif(not (READER / "golden.json").exists(), reason="no reader weights (set SLUICE_READER to their folder)")
@pytest.mark.parametrize("device", DEVICES)
def test_reader_golden(device):
    engine = load(str(READER), device=device, dtype=torch.float32)
    golden = json.loads((READER / "golden.json").read_text("utf-8"))
    said = engine.describe()
    assert engine.reader and said["reduction"] == "mean"
    marks = 3
    assert said["settings"]["window_tokens"] == said["max_window_tokens"] - said["max_question_tokens"] - marks
    manifest = READER.parent / "assets/manifest.json"
    assert not manifest.exists() or engine.name == json.loads(manifest.read_text("utf-8"))["model"]
    for g in golden:
        rows = len(g["input_ids"]) - g["context_tokens"] - 1
        found = engine.importance([g["input_ids"]], [rows], engine.places.where({}))[0]
        assert max(abs(a - b) for a, b in zip(found, g["importance"])) < 1e-5
        window = engine.prompt.window([g["context"]], g["question"])
        assert window.rows == rows
        assert window.ids == g["input_ids"] or len(g["input_ids"]) > engine.prompt.max_tokens
