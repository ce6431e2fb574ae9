"""Vectors of whole reviews."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import sparse
from torch.nn.functional import logsigmoid, normalize

from sentiment.embeddings.documents import Documents, Noise, Space, document_vectors
from sentiment.embeddings.word2vec import SCALE
from sentiment.text.ngrams import encode_ngram
from sentiment.text.sequences import Sequences

# Reviews of two kinds, by turns, each with words of its own.
GENERATOR = np.random.default_rng(0)
TEXTS = [(GENERATOR.integers(2, 402, 80) + 400 * (i % 2)).tolist() for i in range(300)]
BASE = 802
WANTED = np.array([0, 2, 500, encode_ngram([2, 500], BASE)])
# Which of three reviews has which of five n-grams.
MATRIX = sparse.csr_array(np.array([[1, 1, 0, 0, 1], [0, 1, 1, 0, 0], [1, 0, 0, 1, 1]], np.float32))


def learned(texts: list[list[int]] = TEXTS, epochs: int = 1, seed: int = 1) -> Documents:
    return document_vectors(Sequences.from_lists(texts), WANTED, BASE, 8, epochs, seed)


def test_reviews_of_the_same_words_are_alike() -> None:
    vectors = learned(epochs=10).reviews
    vectors -= vectors.mean(0)  # what they have in common
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    likeness = unit @ unit.T
    assert likeness[0, 2::2].mean() > likeness[0, 1::2].mean() + 0.3


def test_same_seed_gives_the_same_vectors_bit_for_bit() -> None:
    first, again, other = (learned(seed=seed) for seed in (1, 1, 2))
    for name, vectors in first._asdict().items():
        assert np.array_equal(vectors, again._asdict()[name])
        assert not np.array_equal(vectors, other._asdict()[name])


def test_number_of_threads_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The library of linear algebra gets one, however many there are."""
    limits: list[tuple[int, str]] = []

    @contextmanager
    def limited(count: int, of: str) -> Iterator[None]:
        limits.append((count, of))
        yield

    monkeypatch.setattr("sentiment.embeddings.documents.threadpool_limits", limited)
    learned()
    assert limits == [(1, "blas")]


@pytest.mark.parametrize("more", [[], [[]]])
def test_root_mean_square_is_one(more: list[list[int]]) -> None:
    vectors = learned([*TEXTS, *more]).reviews
    assert vectors.shape == (300 + len(more), 8)
    assert np.sqrt(np.square(vectors).mean()) == pytest.approx(1, rel=1e-4)


def test_words_are_those_asked_for_and_zero_where_they_come_too_rarely() -> None:
    words = learned([*TEXTS, [2, 500]]).words
    assert words.shape == (4, 8)
    assert not words[[0, 3]].any()
    assert np.sqrt(np.square(words[[1, 2]]).mean(1)) == pytest.approx([SCALE, SCALE])


def test_words_are_near_the_reviews_that_have_them() -> None:
    found = learned(epochs=10)
    likeness = (found.reviews - found.reviews.mean(0)) @ found.words[1:3].T
    assert likeness[0::2, 0].mean() > likeness[1::2, 0].mean() + 0.3
    assert likeness[1::2, 1].mean() > likeness[0::2, 1].mean() + 0.3


def test_pairs_and_triples_are_words_too() -> None:
    wanted = np.array([encode_ngram(ngram, BASE) for ngram in ([2, 3], [2, 3, 4], [3, 2], [2, 3, 4, 5])])
    texts = Sequences.from_lists([[2, 3, 4, 5]] * 20)
    assert document_vectors(texts, wanted, BASE, 8, 1, 1).words.any(1).tolist() == [True, True, False, False]


@pytest.mark.parametrize("texts", [[[], [2, 3]], [[], []], []])
def test_nothing_that_comes_often_enough_is_zero(texts: list[list[int]]) -> None:
    found = learned(texts)
    assert found.reviews.shape == (len(texts), 8)
    assert found.words.shape == (4, 8)
    assert not found.reviews.any()
    assert not found.words.any()


def test_review_without_words_is_zero() -> None:
    vectors = learned([[], *TEXTS]).reviews
    assert not vectors[0].any()
    assert vectors[1:].any(1).all()


def test_each_pass_reads_every_review_once_in_random_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """In their own order, classes one behind the other, a vector would tell when its review was read."""
    read: list[int] = []
    shares: list[float] = []

    def learn(_: Space, reviews: NDArray[np.int64], *others: float) -> None:
        read.extend(reviews.tolist())
        shares.append(others[-1])

    monkeypatch.setattr(Space, "learn", learn)
    learned(epochs=2)
    passes = read[:300], read[300:]
    assert [sorted(each) for each in passes] == [list(range(300))] * 2
    assert passes[0] not in (passes[1], list(range(300)))
    assert shares[0] == 1
    assert shares == sorted(shares, reverse=True)
    assert shares[-1] > 0


def test_sum_over_what_is_drawn_is_on_average_the_mean_by_chance(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sentiment.embeddings.documents._DRAWN", 3)
    noise = Noise.of(MATRIX)
    assert noise.chances == pytest.approx(np.array([2, 2, 1, 1, 2]) ** 0.75 / (3 * 2**0.75 + 2))
    generator, total = np.random.default_rng(1), np.zeros(5)
    for _ in range(20_000):
        drawn, weights = noise.draw(generator)
        assert len(set(drawn)) == len(drawn)
        total[drawn] += weights
    assert total / 20_000 == pytest.approx(noise.chances, rel=0.03)


def likelihood(reviews: torch.Tensor, ngrams: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """[reviews] of what each has, and of twice as many others, whose mean is by ``weights``."""
    logits = 6 * normalize(reviews) @ normalize(ngrams).T
    own = torch.from_numpy(MATRIX.toarray()).double()
    return (own * logsigmoid(logits)).sum(1) + 2 * own.sum(1) * (logsigmoid(-logits) @ weights)


def test_small_step_goes_up_the_gradient_of_the_likelihood(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sentiment.embeddings.documents._STEPS", 1)
    share, everything = 1e-3, np.arange(5)
    weights = np.array([0.3, 0.1, 0.2, 0.3, 0.1], np.float32)
    space = Space.of(MATRIX, 4, np.random.default_rng(1))
    space.steps[:] = 1e4
    reviews, ngrams = (
        torch.tensor(points).double().requires_grad_() for points in (space.reviews, space.ngrams)
    )
    total = likelihood(reviews, ngrams, torch.from_numpy(weights).double()).sum()
    gradients = torch.autograd.grad(total, [reviews, ngrams])
    space.learn(np.arange(3), everything, weights, share)

    # By a factor of the cosine the likelihood's slope is greater; 15 and 3 are the lengths of steps.
    moved = 6 * (torch.tensor(space.reviews) - reviews.detach()) / share
    lengths = torch.from_numpy(np.diff(MATRIX.indptr))[:, None]
    torch.testing.assert_close(moved * lengths / 15, gradients[0], atol=0.02, rtol=0.02)
    moved = 6 * (torch.tensor(space.ngrams) - ngrams.detach()) / share
    torch.testing.assert_close(moved * 100 / 3, gradients[1], atol=0.1, rtol=0.1)
