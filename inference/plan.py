"""Which windows run together: sorted by length, padded to a bucket's length, cut where a batch would hold too many tokens."""

from __future__ import annotations

from dataclasses import dataclass

BUCKETS = [64, 128, 192, 256, 384, 512, 640, 768, 896, 1024, 1280, 1504, 1792, 2048]


def bucket(length: int) -> int:
    """The padded length: at most a quarter over for short windows, multiples of 512 above 2,048."""
    for size in BUCKETS:
        if length <= size:
            return size
    return -(-length // 512) * 512


@dataclass
class Batch:
    indices: list[int]
    length: int


def plan(lengths: list[int], max_batch_tokens: int, exact: bool = False) -> list[Batch]:
    """Every index once; `exact` pads to the longest of the batch instead of the bucket (no graphs to reuse, no waste)."""
    batches: list[Batch] = []
    for i in sorted(range(len(lengths)), key=lambda j: (lengths[j], j)):
        size = lengths[i] if exact else bucket(lengths[i])
        last = batches[-1] if batches else None
        joins = last is not None and (exact or last.length == size) and (len(last.indices) + 1) * size <= max_batch_tokens
        if last is not None and joins and not (exact and size > 1.25 * lengths[last.indices[0]]):
            last.indices.append(i)
            last.length = max(last.length, size)
        else:
            batches.append(Batch([i], size))
    return batches


def batch_size(count: int, length: int, max_batch_tokens: int) -> int:
    """Static shapes: the batch rounded up to a power of two (or to the largest batch of this length)."""
    top = max(1, max_batch_tokens // length)
    return min(top, 1 << (count - 1).bit_length())
