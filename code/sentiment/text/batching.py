"""Padded batches of sequences of similar length."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sentiment.text.sequences import Sequences
from sentiment.text.vocabulary import PAD_ID

# Batches are cut from a pool of this many, sorted by length: large enough for little padding, small enough
# for batches to differ between epochs.
_POOL_BATCHES = 50


@dataclass(frozen=True, slots=True)
class Batch:
    """A padded batch."""

    indices: NDArray[np.int64]  # [batch] sequence of each row
    ids: NDArray[np.int64]  # [batch, time], padded at the end with ``PAD_ID``
    lengths: NDArray[np.int64]  # [batch], at least 1: an empty sequence counts as one ``PAD_ID``


def pad(sequences: Sequences, indices: NDArray[np.int64]) -> Batch:
    """Pad the selected sequences to the longest one."""
    lengths = sequences.lengths[indices]
    ids = np.full((len(indices), max(1, lengths.max(initial=1))), PAD_ID, np.int64)
    for row, index in enumerate(indices):
        ids[row, : lengths[row]] = sequences[index]
    return Batch(indices, ids, np.maximum(lengths, 1))


def training_batches(
    sequences: Sequences, batch_size: int, generator: np.random.Generator
) -> list[NDArray[np.int64]]:
    """Batches of one epoch as [batch] indices: every sequence once, bucketed by length, in random order."""
    order = generator.permutation(len(sequences))
    lengths = sequences.lengths
    pool = batch_size * _POOL_BATCHES
    batches = []
    for start in range(0, len(order), pool):
        bucket = order[start : start + pool]
        bucket = bucket[np.argsort(lengths[bucket], kind="stable")]
        batches += [bucket[i : i + batch_size] for i in range(0, len(bucket), batch_size)]
    return [batches[i] for i in generator.permutation(len(batches))]


def evaluation_batches(sequences: Sequences, max_tokens: int) -> Iterator[Batch]:
    """Every sequence once, longest first, in batches of at most ``max_tokens`` ids, padding included.

    A longer sequence forms a batch of its own.
    """
    order = np.argsort(-sequences.lengths, kind="stable")
    lengths = np.maximum(sequences.lengths[order], 1)
    start = 0
    while start < len(order):
        count = max(1, max_tokens // int(lengths[start]))
        yield pad(sequences, order[start : start + count])
        start += count
