"""Vectors of whole reviews and of their words, pairs and triples, which come near each other.

Le and Mikolov, ICML 2014, section 2.3 (PV-DBOW), of n-grams as Li et al., arXiv:1512.08183, have them, and
with the cosine in place of the dot product: Thongtan and Phienthrakul, ACL Student Research Workshop 2019.
Labels have no part in it: it learns from reviews without one, too, which words come with which.
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

# N-grams that fewer reviews have say too little for the time they take.
_FEWEST = 10
# What the cosine is multiplied by to be a logit, as in the program of Thongtan and Phienthrakul.
_SHARPNESS = 6.0
# N-grams by chance for each one that a review has. Theirs are 5, in 120 passes; in the few that there is time
# for, fewer tell more (docs/experiments.md).
_NEGATIVES = 2.0
# The share of an n-gram among them is its number of reviews to this power: Mikolov et al., NIPS 2013.
_POWER = 0.75
# Reviews that share those that are drawn, and how many these are.
_BLOCK = 64
_DRAWN = 4096
# Steps of a review towards its n-grams each time it is read, and their length.
_STEPS = 3
_REVIEW_RATE = 15.0
# Length of the first step of an n-gram; as the number of steps grows its root divides it, as AdaGrad has it.
_NGRAM_RATE = 3.0


class Documents(NamedTuple):
    """Vectors.

    Attributes:
        reviews: [reviews, dimensions] with a root mean square of 1; zero for a review none of whose n-grams
            comes often enough.
        words: [wanted n-grams, dimensions] with a root mean square of ``SCALE`` but for those that are zero:
            they do not come often enough.
    """

    reviews: Floats
    words: Floats


def document_vectors(
    sequences: Sequences, wanted: Keys, base: int, dimensions: int, epochs: int, seed: int
) -> Documents:
    """Vectors, in one thread, so that they are the same each time.

    Args:
        sequences: the reviews as word ids.
        wanted: n-grams whose vectors are asked for, by their keys, see ``iterate_ngrams``.
        base: of these keys, larger than any word id.
        dimensions: of a vector.
        epochs: passes over the reviews.
        seed: of the first vectors, of what is drawn, and of the order in which reviews are read. By their own
            order they would be told apart by when they were read, and those of one class often come together.

    Raises:
        DataError: there are too many different words.
    """
    reviews = np.zeros((len(sequences), dimensions), np.float32)
    words = np.zeros((len(wanted), dimensions), np.float32)
    ngrams = NgramFeatures.fit(sequences, base, _FEWEST)
    if len(ngrams.keys) == 0:
        return Documents(reviews, words)
    matrix = ngrams.transform(sequences)
    has_words = np.diff(matrix.indptr) > 0
    with threadpool_limits(1, "blas"):
        space = _learned(matrix[has_words], dimensions, epochs, np.random.default_rng(seed))
    reviews[has_words] = space.reviews * np.float32(np.sqrt(dimensions * len(reviews) / has_words.sum()))
    place, is_known = find_keys(ngrams.keys, wanted)
    words[is_known] = space.ngrams[place[is_known]] * np.float32(SCALE * np.sqrt(dimensions))
    return Documents(reviews, words)


def _learned(
    matrix: sparse.csr_array, dimensions: int, epochs: int, generator: np.random.Generator
) -> "Space":
    """Where [reviews, n-grams] are after so many passes; none of the reviews is without an n-gram."""
    noise = Noise.of(matrix)
    space = Space.of(matrix, dimensions, generator)
    blocks = -(-matrix.shape[0] // _BLOCK)
    start = time.monotonic()
    for epoch in range(epochs):
        order = np.array_split(generator.permutation(matrix.shape[0]), blocks)
        for number, reviews in enumerate(order):
            share = 1 - (epoch * blocks + number) / (epochs * blocks)
            space.learn(reviews, *noise.draw(generator), share)
        seconds = time.monotonic() - start
        logger.info("document vectors: pass %d of %d over; %.0f s", epoch + 1, epochs, seconds)
    return space


class Noise(NamedTuple):
    """N-grams by chance, the frequent ones oftener.

    Attributes:
        chances: [n-grams] the chance of each, in one draw.
        sums: [n-grams] of the chances so far.
    """

    chances: NDArray[np.float64]
    sums: NDArray[np.float64]

    @classmethod
    def of(cls, matrix: sparse.csr_array) -> "Noise":
        """That of [reviews, n-grams]."""
        powers = np.bincount(matrix.indices, minlength=matrix.shape[1]) ** _POWER
        chances = powers / powers.sum()
        return cls(chances, np.cumsum(chances))

    def draw(self, generator: np.random.Generator) -> tuple[NDArray[np.int64], Floats]:
        """Some n-grams, and weights by which a sum over them is, on average, the mean over all by chance."""
        places = np.searchsorted(self.sums, generator.random(_DRAWN)).clip(max=len(self.sums) - 1)
        drawn = np.unique(places)
        chances = self.chances[drawn]
        weights = chances / -np.expm1(_DRAWN * np.log1p(-chances.clip(max=1 - 1e-9)))
        return drawn, weights.astype(np.float32)


@dataclass(frozen=True, slots=True)
class Space:
    """Reviews and n-grams as points on a sphere.

    Their likelihood is that of telling the n-grams that a review has from those that are drawn by chance, by
    the cosine, which times ``_SHARPNESS`` is the logit. Steps go up its gradient, and back to the sphere.

    Attributes:
        matrix: [reviews, n-grams], which has which.
        reviews: [reviews, dimensions] of length 1.
        ngrams: [n-grams, dimensions] of length 1.
        steps: [n-grams] how many each has made.
    """

    matrix: sparse.csr_array
    reviews: Floats
    ngrams: Floats
    steps: Floats

    @classmethod
    def of(cls, matrix: sparse.csr_array, dimensions: int, generator: np.random.Generator) -> "Space":
        """That of points by chance."""
        reviews, ngrams = (
            _unit(generator.standard_normal((n, dimensions), np.float32)) for n in matrix.shape
        )
        return cls(matrix, reviews, ngrams, np.ones(len(ngrams), np.float32))

    def learn(
        self, reviews: NDArray[np.int64], drawn: NDArray[np.int64], weights: Floats, share: float
    ) -> None:
        """A step of some reviews and of their n-grams, and of those that are drawn.

        Args:
            reviews: which.
            drawn: n-grams, each once.
            weights: [drawn] of the mean over them.
            share: of the length of all steps.
        """
        lengths = np.diff(self.matrix.indptr)[reviews].astype(np.float32)
        weights = np.float32(_NEGATIVES) * lengths[:, None] * weights  # [reviews, drawn]
        away = self._mistaken(reviews, drawn, weights) @ self.ngrams[drawn]
        for review, gradient in zip(reviews, away, strict=True):
            self._approach(review, gradient, share)
        gradient = self._mistaken(reviews, drawn, weights).T @ self.reviews[reviews]
        self._move(drawn, gradient, weights.sum(0), share)

    def _mistaken(self, reviews: NDArray[np.int64], drawn: NDArray[np.int64], weights: Floats) -> Floats:
        """[reviews, drawn] the gradient by the cosine of each review and each n-gram that is drawn."""
        mistaken: Floats = -weights * _surprise(-self.reviews[reviews] @ self.ngrams[drawn].T)
        return mistaken

    def _approach(self, review: np.int64, away: Floats, share: float) -> None:
        """Move a review and its n-grams towards each other, and it away from what was drawn."""
        own = self.matrix.indices[self.matrix.indptr[review] : self.matrix.indptr[review + 1]]
        ngrams, vector = self.ngrams[own], self.reviews[review]
        rate = np.float32(_REVIEW_RATE * share / len(own))
        for _ in range(_STEPS):
            vector = vector + rate * (_surprise(ngrams @ vector) @ ngrams + away)
            vector /= np.sqrt(vector @ vector)
        self.reviews[review] = vector
        self._move(own, _surprise(ngrams @ vector)[:, None] * vector, 1, share)

    def _move(self, which: NDArray[np.integer], gradient: Floats, steps: Floats | int, share: float) -> None:
        """Move n-grams, each once, by [which, dimensions] and by how many steps this stands for."""
        self.steps[which] += steps
        rates = np.float32(_NGRAM_RATE * share) / np.sqrt(self.steps[which])
        self.ngrams[which] = _unit(self.ngrams[which] + rates[:, None] * gradient)


def _surprise(cosines: Floats) -> Floats:
    """The gradient of the log likelihood by the cosine, but for the factor ``_SHARPNESS``."""
    surprise: Floats = 1 / (1 + np.exp(np.float32(_SHARPNESS) * cosines))
    return surprise


def _unit(points: Floats) -> Floats:
    """[points, dimensions], each brought to a length of 1."""
    lengths: Floats = np.sqrt(np.einsum("ij,ij->i", points, points))
    return points / lengths[:, None]
