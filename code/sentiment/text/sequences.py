"""Token sequences of different lengths in one flat array, and their truncation."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

# Share of a truncated sequence that "head-tail" takes from the head: reviews mostly sum up at the end.
_HEAD_FRACTION = 0.25


@dataclass(frozen=True, slots=True)
class Sequences:
    """Token sequences as one flat array."""

    ids: NDArray[np.int32]  # [tokens], all sequences concatenated
    offsets: NDArray[np.int64]  # [sequences + 1], sequence i is ``ids[offsets[i]:offsets[i + 1]]``

    @classmethod
    def from_lists(cls, sequences: Sequence[Sequence[int] | NDArray[np.int32]]) -> "Sequences":
        """Flatten lists or arrays of ids."""
        offsets = np.zeros(len(sequences) + 1, np.int64)
        np.cumsum([len(sequence) for sequence in sequences], out=offsets[1:])
        ids = [np.asarray(sequence, np.int32) for sequence in sequences]
        return cls(np.concatenate([np.empty(0, np.int32), *ids]), offsets)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, index: int) -> NDArray[np.int32]:
        return self.ids[self.offsets[index] : self.offsets[index + 1]]

    def take(self, indices: NDArray[np.int64]) -> "Sequences":
        """Select sequences, in the order of the indices."""
        offsets = np.zeros(len(indices) + 1, np.int64)
        np.cumsum(self.lengths[indices], out=offsets[1:])
        ids = np.empty(int(offsets[-1]), np.int32)
        for i, index in enumerate(indices):
            ids[offsets[i] : offsets[i + 1]] = self[index]
        return Sequences(ids, offsets)

    def concatenate(self, tail: "Sequences") -> "Sequences":
        """Append sequences; returns itself, not a copy, if the tail is empty."""
        if len(tail) == 0:
            return self
        offsets = np.concatenate([self.offsets, self.offsets[-1] + tail.offsets[1:]])
        return Sequences(np.concatenate([self.ids, tail.ids]), offsets)

    @property
    def lengths(self) -> NDArray[np.int64]:
        """[sequences] number of tokens."""
        return np.diff(self.offsets)

    @property
    def rows(self) -> NDArray[np.int64]:
        """[tokens] index of the sequence of each token."""
        return np.repeat(np.arange(len(self)), self.lengths)


class Examples(NamedTuple):
    """Reviews with labels."""

    sequences: Sequences  # tokens of each review
    labels: NDArray[np.int8]  # [reviews], 1 for positive, 0 for negative, -1 without a label
    # [reviews], hash of the group of each; reviews of one movie form a group.
    groups: NDArray[np.uint64] = np.empty(0, np.uint64)

    @classmethod
    def empty(cls) -> Self:
        """No reviews."""
        return cls(Sequences.from_lists([]), np.empty(0, np.int8))


def truncate(ids: NDArray[np.int32], max_length: int, keep: str) -> NDArray[np.int32]:
    """Keep at most ``max_length`` tokens of one sequence: its ``head``, ``tail`` or ``head-tail``."""
    if len(ids) <= max_length:
        return ids
    if keep == "head":
        return ids[:max_length]
    head = int(max_length * _HEAD_FRACTION) if keep == "head-tail" else 0
    return np.concatenate([ids[:head], ids[len(ids) - (max_length - head) :]])
