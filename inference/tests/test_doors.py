"""The two doors over one small engine."""

from __future__ import annotations

import pytest
import torch
from helpers import eager_importance, small_model, small_tokenizer

from engine import Engine
from handler import EndpointHandler
from wire import RequestError, decode_half


@pytest.fixture(scope="module")
def engine():
    return Engine(small_model("qwen2"), small_tokenizer(), name="tiny")


BODY = {"question": "Who came?", "windows": [{"sentences": ["Nobody came. ", "", "It rained 🎉."]}, {"sentences": ["One."]}]}


def test_handler_scores(engine):
    out = EndpointHandler(engine=engine)({"inputs": BODY, "parameters": {"layer": "middle"}})
    window = engine.prompt.window(BODY["windows"][0]["sentences"], BODY["question"])
    wanted = eager_importance(small_model("qwen2"), window.ids, window.rows, 2)
    found = [v for s in out["windows"][0]["sentences"] for v in decode_half(s["importance"])]
    context = wanted[window.start : window.start + len(window.kept)]
    assert len(found) == len(context) and max(abs(a - b) / max(b, 1e-3) for a, b in zip(found, context)) < 2e-3
    assert out["windows"][0]["sentences"][1]["importance"] == "" and abs(out["windows"][0]["sink"] - wanted[0]) < 1e-3


def test_handler_errors_are_bodies(engine):
    handler = EndpointHandler(engine=engine)
    assert handler({"inputs": {"question": ""}})["error"]["code"] == "invalid_request"
    assert handler({"inputs": BODY, "parameters": {"layer": 99}})["error"] == {
        "code": "invalid_request", "message": "layer must be below 4", "retryable": False
    }
    assert handler({"inputs": BODY, "parameters": [1]})["error"]["code"] == "invalid_request"
    assert handler({"inputs": {"task": "describe"}})["layers"] == 4
    assert handler({"inputs": {**BODY, "question": "why " * 2000}})["error"]["code"] == "question_too_long"


def test_what_a_request_leaves_out_is_the_engine_s_default():
    model, tokenizer = small_model("qwen2"), small_tokenizer()
    named = {**BODY, "parameters": {"layer": 1, "calibrate": True}}
    engine = Engine(model, tokenizer, defaults={"layer": 1, "calibrate": True})
    assert engine.describe()["reads"] == [[1, "all"]] and engine.describe()["calibrates"]
    assert engine.score(BODY) == Engine(model, tokenizer).score(named) != Engine(model, tokenizer).score(BODY)
    assert engine.score({**BODY, "parameters": {"layer": "heads"}})["error"]["code"] == "unsupported"
    for wrong in ({"layer": "top"}, {"layer": 9}, {"layer": "heads"}):
        with pytest.raises(RequestError):
            Engine(model, tokenizer, defaults=wrong)


def test_calibrated_and_merged_requests(engine):
    calibrated = {**BODY, "parameters": {"calibrate": True}}
    merged = engine.score_many([BODY, calibrated, {"question": 1}])
    assert merged[0] == engine.score(BODY) or merged[0]["windows"][0].keys() == engine.score(BODY)["windows"][0].keys()
    assert merged[1]["windows"][0]["sentences"] != merged[0]["windows"][0]["sentences"]
    assert merged[2]["error"]["code"] == "invalid_request"


def test_attention_that_is_not_finite_is_an_error(engine):
    broken = small_model("qwen2")
    broken.model.layers[0].mlp.down_proj.weight.data.fill_(float("nan"))
    out = Engine(broken, small_tokenizer()).score(BODY)
    assert out["error"]["code"] == "not_finite" and not out["error"]["retryable"]


def test_answers_stream(engine):
    from answer import stream

    assert isinstance("".join(stream(engine, {"question": "Who came?", "evidence": ["Nobody came."], "max_new_tokens": 4})), str)


def test_head_scores(engine):
    from calibrate import best, head_scores, masses

    scores = head_scores(engine, [{"question": "Who came?", "sentences": ["Nobody came. ", "It rained."], "gold": [0]}])
    assert scores.shape == (4, 4) and len(best(scores, 3)) == 3
    window = engine.prompt.window(["Nobody came. ", "It rained."], "Who came?")
    for layer, heads in enumerate(masses(engine, window)):
        wanted = eager_importance(small_model("qwen2"), window.ids, window.rows, layer, mean=True)
        part = torch.tensor(wanted[window.start : window.start + len(window.kept)])
        assert torch.allclose(heads.mean(0), part, rtol=1e-4, atol=1e-7)


def test_server(engine):
    pytest.importorskip("fastapi", reason="FastAPI is not installed here: the server's tests did not run")
    pytest.importorskip("httpx", reason="httpx is not installed here: the server's tests did not run")
    from fastapi.testclient import TestClient

    from server import create_app

    with TestClient(create_app(engine, token="secret", queue_limit=64)) as client:
        head = {"authorization": "Bearer secret"}
        assert client.get("/healthz").json()["status"] == "ok"
        assert client.post("/v1/score", json=BODY).status_code == 401
        assert len(client.post("/v1/score", json=BODY, headers=head).json()["windows"]) == 2
        assert client.post("/v1/score", json={"question": ""}, headers=head).status_code == 422
        assert client.post("/v1/score", content=b"{", headers=head).status_code == 422
        assert client.get("/v1/describe", headers=head).json()["model"] == "tiny"
        answer = client.post("/v1/answer", json={"question": "Who?", "evidence": ["It rained."], "max_new_tokens": 3}, headers=head)
        assert answer.status_code == 200 and answer.headers["content-type"].startswith("text/event-stream")
        assert "sluice_windows_total" in client.get("/metrics").text
    with TestClient(create_app(engine, queue_limit=0)) as client:
        full = client.post("/v1/score", json=BODY)
        assert full.status_code == 429 and int(full.headers["retry-after"]) >= 1
