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
    """
    Every index once. `exact` pads to the longest of the batch: no shapes to reuse, no waste. Otherwise a batch has a bucket's length, and
    as many windows that `batch_size` adds few.
    """
    order = sorted(range(len(lengths)), key=lambda j: (lengths[j], j))
    return by_length(order, lengths, max_batch_tokens) if exact else by_bucket(order, lengths, max_batch_tokens)


def by_length(order: list[int], lengths: list[int], max_batch_tokens: int) -> list[Batch]:
    batches: list[Batch] = []
    for i in order:
        size = lengths[i]
        last = batches[-1] if batches else None
        fits = last is not None and (len(last.indices) + 1) * size <= max_batch_tokens
        if last is not None and fits and size <= 1.25 * lengths[last.indices[0]]:
            last.indices.append(i)
            last.length = size
        else:
            batches.append(Batch([i], size))
    return batches


def by_bucket(order: list[int], lengths: list[int], max_batch_tokens: int) -> list[Batch]:
    groups: dict[int, list[int]] = {}
    for i in order:
        groups.setdefault(bucket(lengths[i]), []).append(i)
    batches = []
    for length, indices in groups.items():
        at = 0
        for count in cuts(len(indices), max(1, max_batch_tokens // length)):
            batches.append(Batch(indices[at : at + count], length))
            at += count
    return batches


def cuts(count: int, top: int) -> list[int]:
    """`count` windows as full batches and powers of two, down to a rest that a power of two holds with at most an eighth empty."""
    found = [top] * (count // top)
    rest = count % top
    while rest:
        whole = 1 << (rest.bit_length() - 1)
        above = min(top, 1 << (rest - 1).bit_length())
        take = rest if above - rest <= above // 8 else min(whole, rest)
        found.append(take)
        rest -= take
    return found


def batch_size(count: int, length: int, max_batch_tokens: int) -> int:
    """Static shapes: the batch rounded up to a power of two (or to the largest batch of this length)."""
    top = max(1, max_batch_tokens // length)
    return min(top, 1 << (count - 1).bit_length())
