"""Word embeddings from the reviews."""

import logging

import numpy as np
import pytest

from byoc.errors import DataError
from sentiment.embeddings.word2vec import SCALE, train_word2vec
from sentiment.text.sequences import Sequences

# Ids 2 to 5 come in one kind of text, 6 to 9 in another; 10 never.
GENERATOR = np.random.default_rng(0)
TEXTS = Sequences.from_lists([(GENERATOR.integers(2, 6, 30) + 4 * (i % 2)).tolist() for i in range(400)])
NONE = Sequences.from_lists([])
SHAPE = (11, 12)


def similarity(vectors: np.ndarray, first: int, second: int) -> float:
    a, b = vectors[first], vectors[second]
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


def test_words_with_common_contexts_are_similar() -> None:
    vectors = train_word2vec([TEXTS], SHAPE, 10, 1)
    assert similarity(vectors, 2, 3) > similarity(vectors, 2, 7) + 0.2


def test_embeddings_are_bit_identical_per_seed() -> None:
    first, again, other = (train_word2vec([TEXTS], SHAPE, 1, seed) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_absent_ids_are_zero() -> None:
    vectors = train_word2vec([TEXTS, NONE], SHAPE, 1, 1)
    assert not vectors[[0, 1, 10]].any()
    assert np.sqrt(np.square(vectors[2:10]).mean()) == pytest.approx(SCALE, rel=1e-4)


def test_all_corpora_are_used() -> None:
    more = Sequences.from_lists([[10, 2, 10, 3]] * 50)
    assert train_word2vec([TEXTS, more], SHAPE, 1, 1)[10].any()


def test_every_epoch_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="sentiment")
    train_word2vec([TEXTS], SHAPE, 2, 1)
    assert "word2vec: epoch 2 of 2 finished" in caplog.text


def test_reviews_without_words_are_rejected() -> None:
    with pytest.raises(DataError, match="the reviews contain no words"):
        train_word2vec([NONE, Sequences.from_lists([[], []])], SHAPE, 1, 1)


def test_short_corpus_logs_no_warning(caplog: pytest.LogCaptureFixture) -> None:
    train_word2vec([Sequences.from_lists([[2, 3]])], SHAPE, 1, 1)
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
