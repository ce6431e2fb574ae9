"""Vectors of reviews and n-grams."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import sparse
from torch.nn.functional import logsigmoid, normalize

from sentiment.embeddings.documents import (
    CosineModel,
    DocumentVectors,
    NegativeSampler,
    train_document_vectors,
)
from sentiment.embeddings.word2vec import SCALE
from sentiment.text.ngrams import encode_ngram
from sentiment.text.sequences import Sequences

# Reviews alternate between two disjoint sets of words.
GENERATOR = np.random.default_rng(0)
TEXTS = [(GENERATOR.integers(2, 402, 80) + 400 * (i % 2)).tolist() for i in range(300)]
BASE = 802
WANTED = np.array([0, 2, 500, encode_ngram([2, 500], BASE)])
# Three reviews, five n-grams.
MATRIX = sparse.csr_array(np.array([[1, 1, 0, 0, 1], [0, 1, 1, 0, 0], [1, 0, 0, 1, 1]], np.float32))


def train(texts: list[list[int]] = TEXTS, epochs: int = 1, seed: int = 1) -> DocumentVectors:
    return train_document_vectors(Sequences.from_lists(texts), WANTED, BASE, 8, epochs, seed)


def test_reviews_with_common_words_are_similar() -> None:
    vectors = train(epochs=10).reviews
    vectors -= vectors.mean(0)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    similarity = unit @ unit.T
    assert similarity[0, 2::2].mean() > similarity[0, 1::2].mean() + 0.3


def test_vectors_are_bit_identical_per_seed() -> None:
    first, again, other = (train(seed=seed) for seed in (1, 1, 2))
    for name, vectors in first._asdict().items():
        assert np.array_equal(vectors, again._asdict()[name])
        assert not np.array_equal(vectors, other._asdict()[name])


def test_training_uses_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """BLAS gets one."""
    limits: list[tuple[int, str]] = []

    @contextmanager
    def limited(count: int, of: str) -> Iterator[None]:
        limits.append((count, of))
        yield

    monkeypatch.setattr("sentiment.embeddings.documents.threadpool_limits", limited)
    train()
    assert limits == [(1, "blas")]


@pytest.mark.parametrize("more", [[], [[]]])
def test_rms_of_reviews_is_one(more: list[list[int]]) -> None:
    vectors = train([*TEXTS, *more]).reviews
    assert vectors.shape == (300 + len(more), 8)
    assert np.sqrt(np.square(vectors).mean()) == pytest.approx(1, rel=1e-4)


def test_rare_ngrams_are_zero() -> None:
    ngrams = train([*TEXTS, [2, 500]]).ngrams
    assert ngrams.shape == (4, 8)
    assert not ngrams[[0, 3]].any()
    assert np.sqrt(np.square(ngrams[[1, 2]]).mean(1)) == pytest.approx([SCALE, SCALE])


def test_ngrams_are_near_their_reviews() -> None:
    vectors = train(epochs=10)
    similarity = (vectors.reviews - vectors.reviews.mean(0)) @ vectors.ngrams[1:3].T
    assert similarity[0::2, 0].mean() > similarity[1::2, 0].mean() + 0.3
    assert similarity[1::2, 1].mean() > similarity[0::2, 1].mean() + 0.3


def test_bigrams_and_trigrams_have_vectors() -> None:
    wanted = np.array([encode_ngram(ngram, BASE) for ngram in ([2, 3], [2, 3, 4], [3, 2], [2, 3, 4, 5])])
    texts = Sequences.from_lists([[2, 3, 4, 5]] * 20)
    assert train_document_vectors(texts, wanted, BASE, 8, 1, 1).ngrams.any(1).tolist() == [
        True,
        True,
        False,
        False,
    ]


@pytest.mark.parametrize("texts", [[[], [2, 3]], [[], []], []])
def test_vectors_without_frequent_ngrams_are_zero(texts: list[list[int]]) -> None:
    vectors = train(texts)
    assert vectors.reviews.shape == (len(texts), 8)
    assert vectors.ngrams.shape == (4, 8)
    assert not vectors.reviews.any()
    assert not vectors.ngrams.any()


def test_empty_review_is_zero() -> None:
    vectors = train([[], *TEXTS]).reviews
    assert not vectors[0].any()
    assert vectors[1:].any(1).all()


def test_epochs_shuffle_the_reviews(monkeypatch: pytest.MonkeyPatch) -> None:
    """In file order, with the classes one after the other, vectors would depend on the class."""
    read: list[int] = []
    scales: list[float] = []

    def update(_: CosineModel, reviews: NDArray[np.int64], *arguments: float) -> None:
        read.extend(reviews.tolist())
        scales.append(arguments[-1])

    monkeypatch.setattr(CosineModel, "update", update)
    train(epochs=2)
    passes = read[:300], read[300:]
    assert [sorted(order) for order in passes] == [list(range(300))] * 2
    assert passes[0] not in (passes[1], list(range(300)))
    assert scales[0] == 1
    assert scales == sorted(scales, reverse=True)
    assert scales[-1] > 0


def test_weighted_samples_are_unbiased(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sentiment.embeddings.documents._SAMPLES", 3)
    sampler = NegativeSampler.fit(MATRIX)
    assert sampler.probabilities == pytest.approx(np.array([2, 2, 1, 1, 2]) ** 0.75 / (3 * 2**0.75 + 2))
    generator, total = np.random.default_rng(1), np.zeros(5)
    for _ in range(20_000):
        ngrams, weights = sampler.sample(generator)
        assert len(set(ngrams)) == len(ngrams)
        total[ngrams] += weights
    assert total / 20_000 == pytest.approx(sampler.probabilities, rel=0.03)


def likelihood(reviews: torch.Tensor, ngrams: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """[reviews] of their n-grams and of twice as many negatives, averaged by ``weights``."""
    logits = 6 * normalize(reviews) @ normalize(ngrams).T
    present = torch.from_numpy(MATRIX.toarray()).double()
    return (present * logsigmoid(logits)).sum(1) + 2 * present.sum(1) * (logsigmoid(-logits) @ weights)


def test_update_follows_the_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sentiment.embeddings.documents._STEPS", 1)
    scale, everything = 1e-3, np.arange(5)
    weights = np.array([0.3, 0.1, 0.2, 0.3, 0.1], np.float32)
    model = CosineModel.initialize(MATRIX, 4, np.random.default_rng(1))
    model.steps[:] = 1e4
    reviews, ngrams = (
        torch.tensor(points).double().requires_grad_() for points in (model.reviews, model.ngrams)
    )
    total = likelihood(reviews, ngrams, torch.from_numpy(weights).double()).sum()
    gradients = torch.autograd.grad(total, [reviews, ngrams])
    model.update(np.arange(3), everything, weights, scale)

    # 6 is the factor of the cosine; 15 and 3 are the learning rates.
    moved = 6 * (torch.tensor(model.reviews) - reviews.detach()) / scale
    lengths = torch.from_numpy(np.diff(MATRIX.indptr))[:, None]
    torch.testing.assert_close(moved * lengths / 15, gradients[0], atol=0.02, rtol=0.02)
    moved = 6 * (torch.tensor(model.ngrams) - ngrams.detach()) / scale
    torch.testing.assert_close(moved * 100 / 3, gradients[1], atol=0.1, rtol=0.1)
