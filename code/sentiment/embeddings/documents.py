"""Vectors of whole reviews and of their n-grams in one space, learned without labels.

PV-DBOW (Le and Mikolov, ICML 2014, section 2.3) over n-grams (Li et al., arXiv:1512.08183), with the cosine
instead of the dot product (Thongtan and Phienthrakul, ACL Student Research Workshop 2019).
"""

import logging
import time
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from threadpoolctl import threadpool_limits

from sentiment.embeddings.word2vec import SCALE
from sentiment.ngram_model.features import NgramFeatures
from sentiment.text.ngrams import Keys, find_keys
from sentiment.text.sequences import Sequences

logger = logging.getLogger(__name__)

DOCUMENT_EPOCHS = 15  # passes over the reviews

Floats = NDArray[np.float32]

_MIN_REVIEWS = 10  # rarer n-grams add more time than information
# Factor of the cosine in a logit, as in the code of Thongtan and Phienthrakul.
_SHARPNESS = 6.0
# Negative samples per n-gram of a review. The paper has 5 in 120 epochs; in fewer epochs fewer are better
# (docs/experiments.md).
_NEGATIVES = 2.0
# Exponent of an n-gram's number of reviews in its sampling probability: Mikolov et al., NIPS 2013.
_POWER = 0.75
# Reviews that share negative samples, and the number of samples.
_BLOCK = 64
_SAMPLES = 4096
# Gradient steps per review and epoch, and their learning rate.
_STEPS = 3
_REVIEW_RATE = 15.0
# Initial learning rate of an n-gram, divided by the root of its number of steps as in AdaGrad.
_NGRAM_RATE = 3.0


class DocumentVectors(NamedTuple):
    """Vectors of reviews and n-grams."""

    reviews: Floats  # [reviews, dimensions] with a root mean square of 1; zero without a frequent n-gram
    ngrams: Floats  # [requested n-grams, dimensions] with a root mean square of ``SCALE``; zero if too rare


def train_document_vectors(
    sequences: Sequences, keys: Keys, base: int, dimensions: int, epochs: int, seed: int
) -> DocumentVectors:
    """Train vectors in one thread, so that they are bit-identical each time.

    Args:
        sequences: reviews as word ids.
        keys: requested n-grams, see ``iterate_ngrams``.
        base: of the keys.
        dimensions: size of a vector.
        epochs: passes over the reviews.
        seed: of initialization, negative sampling and the order of reviews, which must be random: vectors
            depend on when a review was read, and reviews of one class are often adjacent.

    Raises:
        DataError: the vocabulary is too large for n-gram keys.
    """
    reviews = np.zeros((len(sequences), dimensions), np.float32)
    ngrams = np.zeros((len(keys), dimensions), np.float32)
    features = NgramFeatures.fit(sequences, base, _MIN_REVIEWS)
    if len(features.keys) == 0:
        return DocumentVectors(reviews, ngrams)
    matrix = features.transform(sequences)
    has_ngrams = np.diff(matrix.indptr) > 0
    with threadpool_limits(1, "blas"):
        model = _train(matrix[has_ngrams], dimensions, epochs, np.random.default_rng(seed))
    reviews[has_ngrams] = model.reviews * np.float32(np.sqrt(dimensions * len(reviews) / has_ngrams.sum()))
    index, is_feature = find_keys(features.keys, keys)
    ngrams[is_feature] = model.ngrams[index[is_feature]] * np.float32(SCALE * np.sqrt(dimensions))
    return DocumentVectors(reviews, ngrams)


def _train(
    matrix: sparse.csr_array, dimensions: int, epochs: int, generator: np.random.Generator
) -> "CosineModel":
    """Train on [reviews, n-grams], each review with an n-gram."""
    sampler = NegativeSampler.fit(matrix)
    model = CosineModel.initialize(matrix, dimensions, generator)
    blocks = -(-matrix.shape[0] // _BLOCK)
    start = time.monotonic()
    for epoch in range(epochs):
        order = np.array_split(generator.permutation(matrix.shape[0]), blocks)
        for number, reviews in enumerate(order):
            lr_scale = 1 - (epoch * blocks + number) / (epochs * blocks)
            model.update(reviews, *sampler.sample(generator), lr_scale)
        seconds = time.monotonic() - start
        logger.info("document vectors: epoch %d of %d finished; %.0f s", epoch + 1, epochs, seconds)
    return model


class NegativeSampler(NamedTuple):
    """Samples n-grams by frequency."""

    probabilities: NDArray[np.float64]  # [n-grams]
    cumulative: NDArray[np.float64]  # [n-grams]

    @classmethod
    def fit(cls, matrix: sparse.csr_array) -> "NegativeSampler":
        """Count the n-grams of [reviews, n-grams]."""
        powers = np.bincount(matrix.indices, minlength=matrix.shape[1]) ** _POWER
        probabilities = powers / powers.sum()
        return cls(probabilities, np.cumsum(probabilities))

    def sample(self, generator: np.random.Generator) -> tuple[NDArray[np.int64], Floats]:
        """Distinct n-grams, and weights that make a sum over them an unbiased estimate of the mean."""
        draws = generator.random(_SAMPLES)
        ngrams = np.unique(np.searchsorted(self.cumulative, draws).clip(max=len(self.cumulative) - 1))
        probabilities = self.probabilities[ngrams]
        weights = probabilities / -np.expm1(_SAMPLES * np.log1p(-probabilities.clip(max=1 - 1e-9)))
        return ngrams, weights.astype(np.float32)


@dataclass(frozen=True, slots=True)
class CosineModel:
    """Reviews and n-grams as points on a sphere.

    The likelihood is that of logistic regression between n-grams of a review and negative samples, with the
    scaled cosine as logit. Updates ascend its gradient and project back to the sphere.
    """

    matrix: sparse.csr_array  # [reviews, n-grams], 1 where a review has the n-gram
    reviews: Floats  # [reviews, dimensions] of length 1
    ngrams: Floats  # [n-grams, dimensions] of length 1
    steps: Floats  # [n-grams] number of updates

    @classmethod
    def initialize(
        cls, matrix: sparse.csr_array, dimensions: int, generator: np.random.Generator
    ) -> "CosineModel":
        """Draw random points."""
        reviews, ngrams = (
            _normalize(generator.standard_normal((n, dimensions), np.float32)) for n in matrix.shape
        )
        return cls(matrix, reviews, ngrams, np.ones(len(ngrams), np.float32))

    def update(
        self, reviews: NDArray[np.int64], samples: NDArray[np.int64], weights: Floats, lr_scale: float
    ) -> None:
        """Update some reviews, their n-grams and distinct negative samples with their [samples] weights."""
        lengths = np.diff(self.matrix.indptr)[reviews].astype(np.float32)
        weights = np.float32(_NEGATIVES) * lengths[:, None] * weights  # [reviews, samples]
        repulsion = self._negative_gradient(reviews, samples, weights) @ self.ngrams[samples]
        for review, gradient in zip(reviews, repulsion, strict=True):
            self._update_review(review, gradient, lr_scale)
        gradient = self._negative_gradient(reviews, samples, weights).T @ self.reviews[reviews]
        self._update_ngrams(samples, gradient, weights.sum(0), lr_scale)

    def _negative_gradient(
        self, reviews: NDArray[np.int64], samples: NDArray[np.int64], weights: Floats
    ) -> Floats:
        """[reviews, samples] gradient with respect to the cosine."""
        gradient: Floats = -weights * _log_sigmoid_gradient(-self.reviews[reviews] @ self.ngrams[samples].T)
        return gradient

    def _update_review(self, review: np.int64, repulsion: Floats, lr_scale: float) -> None:
        """Move a review and its n-grams together, and the review away from the negative samples."""
        indices = self.matrix.indices[self.matrix.indptr[review] : self.matrix.indptr[review + 1]]
        ngrams, vector = self.ngrams[indices], self.reviews[review]
        rate = np.float32(_REVIEW_RATE * lr_scale / len(indices))
        for _ in range(_STEPS):
            vector = vector + rate * (_log_sigmoid_gradient(ngrams @ vector) @ ngrams + repulsion)
            vector /= np.sqrt(vector @ vector)
        self.reviews[review] = vector
        self._update_ngrams(indices, _log_sigmoid_gradient(ngrams @ vector)[:, None] * vector, 1, lr_scale)

    def _update_ngrams(
        self, indices: NDArray[np.integer], gradient: Floats, steps: Floats | int, lr_scale: float
    ) -> None:
        """Move distinct n-grams along [indices, dimensions], which counts as ``steps`` updates."""
        self.steps[indices] += steps
        rates = np.float32(_NGRAM_RATE * lr_scale) / np.sqrt(self.steps[indices])
        self.ngrams[indices] = _normalize(self.ngrams[indices] + rates[:, None] * gradient)


def _log_sigmoid_gradient(cosines: Floats) -> Floats:
    """Gradient of the log likelihood with respect to the cosine, without the factor ``_SHARPNESS``."""
    gradient: Floats = 1 / (1 + np.exp(np.float32(_SHARPNESS) * cosines))
    return gradient


def _normalize(points: Floats) -> Floats:
    """[points, dimensions] scaled to a length of 1."""
    lengths: Floats = np.sqrt(np.einsum("ij,ij->i", points, points))
    return points / lengths[:, None]
