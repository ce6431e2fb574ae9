"""Flat sequences and truncation."""

import numpy as np
import pytest

from sentiment.text.sequences import Sequences, truncate

THREE = Sequences.from_lists([[5, 6], [], [7, 8, 9]])


def lists(sequences: Sequences) -> list[list[int]]:
    return [sequences[i].tolist() for i in range(len(sequences))]


def test_index_returns_one_sequence() -> None:
    assert lists(THREE) == [[5, 6], [], [7, 8, 9]]


def test_take_follows_the_indices() -> None:
    assert lists(THREE.take(np.array([2, 1, 0, 2]))) == [[7, 8, 9], [], [5, 6], [7, 8, 9]]
    assert THREE.take(np.array([], np.int64)).offsets.tolist() == [0]


@pytest.mark.parametrize(
    ("keep", "kept"),
    [("head", [0, 1, 2, 3]), ("tail", [6, 7, 8, 9]), ("head-tail", [0, 7, 8, 9])],
)
def test_truncate_keeps_the_requested_tokens(keep: str, kept: list[int]) -> None:
    assert truncate(np.arange(10, dtype=np.int32), 4, keep).tolist() == kept


@pytest.mark.parametrize("keep", ["head", "tail", "head-tail"])
def test_truncate_leaves_short_sequences(keep: str) -> None:
    assert truncate(np.arange(4, dtype=np.int32), 4, keep).tolist() == [0, 1, 2, 3]


def test_concatenate_appends_sequences() -> None:
    both = Sequences.from_lists([[2], []]).concatenate(Sequences.from_lists([[3, 4], [5]]))
    assert lists(both) == [[2], [], [3, 4], [5]]


def test_concatenate_with_nothing_copies_nothing() -> None:
    assert THREE.concatenate(Sequences.from_lists([])) is THREE
