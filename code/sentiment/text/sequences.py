"""Sequences of different lengths to padded batches of similar length."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

PAD_ID = 0  # the id that fills up a batch; vocabulary.py gives it to no word

# Of a review that is too long, "head-tail" keeps this share from its beginning: the opinion is mostly
# summed up at the end.
_HEAD_SHARE = 0.25
# A pool of this many batches is sorted by length before it is cut into batches: enough for little
# padding, few enough that batches differ from epoch to epoch.
_POOL_BATCHES = 50
_CHUNK = 1_000  # sequences of which something large is in memory at a time


@dataclass(frozen=True, slots=True)
class Sequences:
    """Many token sequences as one flat array.

    Attributes:
        ids: [tokens], the sequences one behind the other.
        offsets: [sequences + 1], sequence i is ``ids[offsets[i]:offsets[i + 1]]``.
    """

    ids: NDArray[np.int32]
    offsets: NDArray[np.int64]

    @classmethod
    def of(cls, sequences: Sequence[Sequence[int]]) -> "Sequences":
        """Sequences from lists of ids."""
        offsets = np.zeros(len(sequences) + 1, np.int64)
        np.cumsum([len(sequence) for sequence in sequences], out=offsets[1:])
        ids = np.fromiter((i for ids in sequences for i in ids), np.int32, count=int(offsets[-1]))
        return cls(ids, offsets)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, index: int) -> NDArray[np.int32]:
        return self.ids[self.offsets[index] : self.offsets[index + 1]]

    def take(self, indices: NDArray[np.int64]) -> "Sequences":
        """The chosen sequences, in the order of the indices."""
        offsets = np.zeros(len(indices) + 1, np.int64)
        np.cumsum(self.lengths[indices], out=offsets[1:])
        ids = np.empty(int(offsets[-1]), np.int32)
        for i, index in enumerate(indices):
            ids[offsets[i] : offsets[i + 1]] = self[index]
        return Sequences(ids, offsets)

    def joined(self, others: "Sequences") -> "Sequences":
        """These, and behind them the others; itself where there are none."""
        if len(others) == 0:
            return self
        offsets = np.concatenate([self.offsets, self.offsets[-1] + others.offsets[1:]])
        return Sequences(np.concatenate([self.ids, others.ids]), offsets)

    def chunks(self) -> "Iterator[Sequences]":
        """All of them, some at a time, in order."""
        for begin in range(0, len(self), _CHUNK):
            offsets = self.offsets[begin : begin + _CHUNK + 1]
            yield Sequences(self.ids[offsets[0] : offsets[-1]], offsets - offsets[0])

    @property
    def lengths(self) -> NDArray[np.int64]:
        """[sequences], the number of tokens of each."""
        return np.diff(self.offsets)

    @property
    def rows(self) -> NDArray[np.int64]:
        """[tokens], which sequence each is of."""
        return np.repeat(np.arange(len(self)), self.lengths)


class Examples(NamedTuple):
    """Sequences, and the labels to find: [sequences], 1 for positive, 0 for negative."""

    sequences: Sequences
    labels: NDArray[np.int8]


@dataclass(frozen=True, slots=True)
class Batch:
    """A padded batch.

    Attributes:
        indices: [batch], which sequences these are.
        ids: [batch, time], padded at the end with ``PAD_ID``.
        lengths: [batch], at least 1: a sequence of no token counts as one ``PAD_ID``.
    """

    indices: NDArray[np.int64]
    ids: NDArray[np.int64]
    lengths: NDArray[np.int64]


def truncated(ids: NDArray[np.int32], max_length: int, truncate: str) -> NDArray[np.int32]:
    """At most ``max_length`` tokens of one sequence: its head, its tail, or some of both."""
    if len(ids) <= max_length:
        return ids
    if truncate == "head":
        return ids[:max_length]
    head = int(max_length * _HEAD_SHARE) if truncate == "head-tail" else 0
    return np.concatenate([ids[:head], ids[len(ids) - (max_length - head) :]])


def pad(sequences: Sequences, indices: NDArray[np.int64]) -> Batch:
    """The chosen sequences, padded to the longest of them."""
    lengths = sequences.lengths[indices]
    ids = np.full((len(indices), max(1, lengths.max(initial=1))), PAD_ID, np.int64)
    for row, index in enumerate(indices):
        ids[row, : lengths[row]] = sequences[index]
    return Batch(indices, ids, np.maximum(lengths, 1))


def training_batches(
    sequences: Sequences, batch_size: int, generator: np.random.Generator
) -> list[NDArray[np.int64]]:
    """One epoch of batches, as indices: every sequence once, neighbours in length, in random order."""
    order = generator.permutation(len(sequences))
    lengths = sequences.lengths
    pool = batch_size * _POOL_BATCHES
    batches = []
    for start in range(0, len(order), pool):
        chunk = order[start : start + pool]
        chunk = chunk[np.argsort(lengths[chunk], kind="stable")]
        batches += [chunk[i : i + batch_size] for i in range(0, len(chunk), batch_size)]
    return [batches[i] for i in generator.permutation(len(batches))]


def evaluation_batches(sequences: Sequences, max_tokens: int) -> Iterator[Batch]:
    """Every sequence once, by length, in batches of at most ``max_tokens`` ids, padding included.

    A single sequence longer than that is a batch of its own.
    """
    order = np.argsort(-sequences.lengths, kind="stable")
    lengths = np.maximum(sequences.lengths[order], 1)
    start = 0
    while start < len(order):
        count = max(1, max_tokens // int(lengths[start]))
        yield pad(sequences, order[start : start + count])
        start += count
