"""Padding, cutting and bucketing."""

import numpy as np
import pytest

from sentiment.text.sequences import (
    Sequences,
    evaluation_batches,
    pad,
    training_batches,
    truncated,
)

THREE = Sequences.of([[5, 6], [], [7, 8, 9]])


def many(count: int = 1_000) -> Sequences:
    lengths = np.random.default_rng(0).integers(0, 500, count)
    return Sequences.of([[2] * length for length in lengths.tolist()])


def test_sequences_are_found_again() -> None:
    assert [THREE[i].tolist() for i in range(len(THREE))] == [[5, 6], [], [7, 8, 9]]


def test_taken_sequences_come_in_the_order_of_the_indices() -> None:
    taken = THREE.take(np.array([2, 1, 0, 2]))
    assert [taken[i].tolist() for i in range(len(taken))] == [[7, 8, 9], [], [5, 6], [7, 8, 9]]
    assert THREE.take(np.array([], np.int64)).offsets.tolist() == [0]


def test_padding_is_at_the_end_and_no_word() -> None:
    assert pad(THREE, np.array([0, 2])).ids.tolist() == [[5, 6, 0], [7, 8, 9]]


def test_batch_is_as_wide_as_its_longest_sequence() -> None:
    assert pad(THREE, np.array([0, 1])).ids.shape == (2, 2)


def test_sequence_of_no_word_counts_as_one() -> None:
    batch = pad(THREE, np.array([1]))
    assert batch.ids.tolist() == [[0]]
    assert batch.lengths.tolist() == [1]


@pytest.mark.parametrize(
    ("truncate", "kept"),
    [("head", [0, 1, 2, 3]), ("tail", [6, 7, 8, 9]), ("head-tail", [0, 7, 8, 9])],
)
def test_long_sequence_is_cut(truncate: str, kept: list[int]) -> None:
    assert truncated(np.arange(10, dtype=np.int32), 4, truncate).tolist() == kept


@pytest.mark.parametrize("truncate", ["head", "tail", "head-tail"])
def test_short_sequence_is_kept(truncate: str) -> None:
    assert truncated(np.arange(4, dtype=np.int32), 4, truncate).tolist() == [0, 1, 2, 3]


def test_training_batches_hold_every_sequence_once() -> None:
    batches = training_batches(many(), 32, np.random.default_rng(1))
    assert sorted(np.concatenate(batches).tolist()) == list(range(1_000))


def test_training_batches_are_reproducible() -> None:
    first = training_batches(many(), 32, np.random.default_rng(1))
    second = training_batches(many(), 32, np.random.default_rng(1))
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


def test_training_batches_differ_from_epoch_to_epoch() -> None:
    generator = np.random.default_rng(1)
    first, second = training_batches(many(), 32, generator), training_batches(many(), 32, generator)
    assert not np.array_equal(np.concatenate(first), np.concatenate(second))


def test_training_batches_hold_little_padding() -> None:
    sequences = many()
    batches = training_batches(sequences, 32, np.random.default_rng(1))
    padded = sum(pad(sequences, batch).ids.size for batch in batches)
    assert padded < 1.1 * len(sequences.ids)


def test_training_batches_do_not_run_from_short_to_long() -> None:
    sequences = many(10_000)
    batches = training_batches(sequences, 32, np.random.default_rng(1))
    means = [sequences.lengths[batch].mean() for batch in batches]
    assert abs(np.corrcoef(means, range(len(means)))[0, 1]) < 0.2


def test_evaluation_batches_hold_every_sequence_once() -> None:
    batches = list(evaluation_batches(many(), 4_096))
    assert sorted(np.concatenate([batch.indices for batch in batches]).tolist()) == list(range(1_000))


def test_evaluation_batches_are_bounded_by_tokens() -> None:
    assert max(batch.ids.size for batch in evaluation_batches(many(), 4_096)) <= 4_096


def test_sequence_over_the_bound_is_a_batch_of_its_own() -> None:
    assert [batch.ids.shape for batch in evaluation_batches(THREE, 2)] == [(1, 3), (1, 2), (1, 1)]


def test_no_sequences_give_no_batches() -> None:
    assert list(evaluation_batches(Sequences.of([]), 10)) == []


def test_joined_sequences_are_found_again() -> None:
    joined = Sequences.of([[2], []]).joined(Sequences.of([[3, 4], [5]]))
    assert [joined[i].tolist() for i in range(4)] == [[2], [], [3, 4], [5]]


def test_nothing_is_joined_without_a_copy() -> None:
    sequences = many(3)
    assert sequences.joined(Sequences.of([])) is sequences


@pytest.mark.parametrize("count", [0, 1, 2, 5])
def test_chunks_are_all_sequences_in_order(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr("sentiment.text.sequences._CHUNK", 2)
    sequences = many(count)
    chunks = list(sequences.chunks())
    assert [chunk[i].tolist() for chunk in chunks for i in range(len(chunk))] == [
        sequences[i].tolist() for i in range(count)
    ]
    assert all(len(chunk) <= 2 for chunk in chunks)
