"""What needs no model: the wire format, the checks, the plan of batches."""

from __future__ import annotations

import math

import pytest

from plan import batch_size, bucket, plan
from wire import RequestError, check_score, decode_half, encode_half


def test_half_floats_round_trip():
    values = [0.0, 1.0, 0.000061, 12.5, 65504.0, -3.0]
    found = decode_half(encode_half(values))
    assert all(math.isclose(a, b, rel_tol=1e-3, abs_tol=1e-7) for a, b in zip(found, values))
    assert encode_half([1.0]) == "ADw=" and decode_half(encode_half([1e9])) == [65504.0]


@pytest.mark.parametrize(
    "body",
    [
        None, [], {}, {"question": " ", "windows": [{"sentences": ["a"]}]}, {"question": "q", "windows": []},
        {"question": "q", "windows": [{"sentences": "a"}]}, {"question": "q", "windows": ["a"]},
        {"question": "q", "windows": [{"sentences": ["a"]}], "parameters": {"layer": "top"}},
        {"question": "q", "windows": [{"sentences": ["a"]}], "parameters": {"layer": True}},
        {"question": "q", "windows": [{"sentences": ["a"]}], "parameters": {"heads": []}},
    ],
)
def test_bad_requests(body):
    with pytest.raises(RequestError) as error:
        check_score(body)
    assert error.value.code == "invalid_request" and not error.value.retryable


@pytest.mark.parametrize("exact", [True, False])
def test_plan_runs_every_window_once(exact):
    lengths = [5, 900, 33, 1500, 1500, 64, 65, 3000, 1, 1023] * 5
    batches = plan(lengths, 8192, exact)
    assert sorted(i for b in batches for i in b.indices) == list(range(len(lengths)))
    for b in batches:
        assert all(lengths[i] <= b.length for i in b.indices)
        assert len(b.indices) == 1 or len(b.indices) * b.length <= 8192
        assert batch_size(len(b.indices), b.length, 8192) >= len(b.indices)
    assert bucket(1500) == 1504 and bucket(2049) == 2560


def test_static_batches_hold_every_window_once_and_little_padding():
    for count in range(1, 300):
        batches = plan([1500] * count, 64 * 1504)
        assert sorted(i for b in batches for i in b.indices) == list(range(count))
        rows = sum(batch_size(len(b.indices), b.length, 64 * 1504) for b in batches)
        assert rows <= count * 8 / 7
