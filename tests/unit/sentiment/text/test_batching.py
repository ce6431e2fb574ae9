"""Padding and length bucketing."""

import numpy as np

from sentiment.text.batching import evaluation_batches, pad, training_batches
from sentiment.text.sequences import Sequences

THREE = Sequences.from_lists([[5, 6], [], [7, 8, 9]])


def random_sequences(count: int = 1_000) -> Sequences:
    lengths = np.random.default_rng(0).integers(0, 500, count)
    return Sequences.from_lists([[2] * length for length in lengths.tolist()])


def test_padding_follows_the_sequence() -> None:
    assert pad(THREE, np.array([0, 2])).ids.tolist() == [[5, 6, 0], [7, 8, 9]]


def test_padded_width_is_the_longest_sequence() -> None:
    assert pad(THREE, np.array([0, 1])).ids.shape == (2, 2)


def test_empty_sequence_counts_as_padding() -> None:
    batch = pad(THREE, np.array([1]))
    assert batch.ids.tolist() == [[0]]
    assert batch.lengths.tolist() == [1]


def test_training_batches_cover_every_sequence_once() -> None:
    batches = training_batches(random_sequences(), 32, np.random.default_rng(1))
    assert sorted(np.concatenate(batches).tolist()) == list(range(1_000))


def test_training_batches_are_reproducible() -> None:
    first = training_batches(random_sequences(), 32, np.random.default_rng(1))
    second = training_batches(random_sequences(), 32, np.random.default_rng(1))
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


def test_training_batches_differ_between_epochs() -> None:
    generator, sequences = np.random.default_rng(1), random_sequences()
    first, second = training_batches(sequences, 32, generator), training_batches(sequences, 32, generator)
    assert not np.array_equal(np.concatenate(first), np.concatenate(second))


def test_training_batches_hold_little_padding() -> None:
    sequences = random_sequences()
    batches = training_batches(sequences, 32, np.random.default_rng(1))
    assert sum(pad(sequences, batch).ids.size for batch in batches) < 1.1 * len(sequences.ids)


def test_training_batches_are_unordered_by_length() -> None:
    sequences = random_sequences(10_000)
    batches = training_batches(sequences, 32, np.random.default_rng(1))
    means = [sequences.lengths[batch].mean() for batch in batches]
    assert abs(np.corrcoef(means, range(len(means)))[0, 1]) < 0.2


def test_evaluation_batches_cover_every_sequence_once() -> None:
    batches = list(evaluation_batches(random_sequences(), 4_096))
    assert sorted(np.concatenate([batch.indices for batch in batches]).tolist()) == list(range(1_000))


def test_evaluation_batches_respect_the_token_limit() -> None:
    assert max(batch.ids.size for batch in evaluation_batches(random_sequences(), 4_096)) <= 4_096


def test_overlong_sequence_forms_its_own_batch() -> None:
    assert [batch.ids.shape for batch in evaluation_batches(THREE, 2)] == [(1, 3), (1, 2), (1, 1)]


def test_no_sequences_give_no_batches() -> None:
    assert list(evaluation_batches(Sequences.from_lists([]), 10)) == []
