"""Vectors of whole reviews."""

from collections.abc import Iterable
from types import SimpleNamespace

import numpy as np
import pytest
from gensim.models.doc2vec import TaggedDocument

from sentiment.batches import Sequences
from sentiment.document_vectors import document_vectors

# Reviews of two kinds, by turns, each with words of its own: frequent ones would be passed over.
GENERATOR = np.random.default_rng(0)
TEXTS = [(GENERATOR.integers(2, 402, 80) + 400 * (i % 2)).tolist() for i in range(300)]
SEQUENCES = Sequences.of(TEXTS)


def test_reviews_of_the_same_words_are_alike() -> None:
    vectors = document_vectors(SEQUENCES, 8, 60, 1)
    vectors -= vectors.mean(0)  # what they have in common
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    likeness = unit @ unit.T
    assert likeness[0, 2::2].mean() > likeness[0, 1::2].mean() + 0.3


def test_same_seed_gives_the_same_vectors_bit_for_bit() -> None:
    first, again, other = (document_vectors(SEQUENCES, 8, 1, seed) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_root_mean_square_is_one() -> None:
    vectors = document_vectors(SEQUENCES, 8, 1, 1)
    assert vectors.shape == (300, 8)
    assert np.sqrt(np.square(vectors).mean()) == pytest.approx(1, rel=1e-4)


def test_reviews_are_read_in_random_order_and_keep_their_places(monkeypatch: pytest.MonkeyPatch) -> None:
    """In their own order, classes one behind the other, a vector would tell when its review was read."""
    read: list[list[str]] = []

    def learn(texts: Iterable[TaggedDocument], **_: object) -> SimpleNamespace:
        read.extend(text.words for text in texts)
        vectors = np.array([[float(len(words)), 1] for words in read], np.float32)
        return SimpleNamespace(dv=SimpleNamespace(vectors=vectors))

    monkeypatch.setattr("sentiment.document_vectors.Doc2Vec", learn)
    # Each is longer than the one before it.
    vectors = document_vectors(Sequences.of([[2] * (i + 1) for i in range(100)]), 2, 1, 1)
    lengths = [len(words) for words in read]
    assert lengths != sorted(lengths)
    assert (np.diff(vectors[:, 0]) > 0).all()


@pytest.mark.parametrize("texts", [[[], [2, 3]], [[], []]])
def test_nothing_that_comes_often_enough_is_zero(texts: list[list[int]]) -> None:
    assert not document_vectors(Sequences.of(texts), 8, 1, 1).any()


def test_review_without_words_has_a_vector() -> None:
    vectors = document_vectors(Sequences.of([*TEXTS, []]), 8, 1, 1)
    assert vectors.shape == (301, 8)
    assert np.isfinite(vectors).all()
