"""Vectors of whole reviews, from the reviews alone, by which their words and pairs can be told.

Le and Mikolov, ICML 2014, section 2.3 (PV-DBOW), of n-grams as Li et al., arXiv:1512.08183, do it. They know
of words that labelled reviews lack, and so err elsewhere than what has read only those.
"""

from collections.abc import Iterator

import numpy as np
from gensim.models.doc2vec import Doc2Vec, TaggedDocument
from numpy.typing import NDArray

from sentiment.batches import Sequences
from sentiment.ngrams import Keys, find, windows
from sentiment.word_vectors import Progress

# N-grams that come less often say too little for the time they take.
_FEWEST = 10
_LONGEST = 2  # words of an n-gram
# How many of the frequent ones are passed over: Mikolov et al., NIPS 2013, section 2.3.
_SAMPLE = 1e-5
_RATE = 0.05  # at first; twice gensim's, for the few passes there are


def document_vectors(sequences: Sequences, dimensions: int, epochs: int, seed: int) -> NDArray[np.float32]:
    """Vectors, in one thread, so that they are the same each time.

    Args:
        sequences: the reviews as word ids.
        dimensions: of a vector.
        epochs: passes over the reviews.
        seed: of the first vectors, and of the order in which reviews are read. By their own order they would
            be told apart by when they were read, and reviews of one class often come together.

    Returns:
        [reviews, dimensions], with a root mean square of 1. Zero if no n-gram comes often enough.
    """
    order = np.random.default_rng(seed).permutation(len(sequences))
    texts = _Texts(sequences, order)
    if not texts.is_any_known:
        return np.zeros((len(sequences), dimensions), np.float32)
    model = Doc2Vec(
        texts,
        dm=0,
        vector_size=dimensions,
        negative=5,
        sample=_SAMPLE,
        alpha=_RATE,
        epochs=epochs,
        min_count=1,
        workers=1,
        seed=seed,
        callbacks=[Progress("document vectors", epochs)],
    )
    vectors = np.empty((len(sequences), dimensions), np.float32)
    vectors[order] = model.dv.vectors
    return vectors / np.float32(np.sqrt(np.square(vectors).mean()))


class _Texts:
    """Reviews as gensim takes them: the n-grams of each that come often enough, and its place."""

    def __init__(self, sequences: Sequences, order: NDArray[np.int64]) -> None:
        self._sequences = sequences.take(order)
        self._base = int(sequences.ids.max(initial=0)) + 1
        self._known = self._frequent()

    @property
    def is_any_known(self) -> bool:
        """Whether there is anything to be read."""
        return len(self._known) > 0

    def __iter__(self) -> Iterator[TaggedDocument]:
        place = 0
        for chunk in self._sequences.chunks():
            keys, ends = self._ngrams(chunk)
            index, is_known = find(self._known, keys)
            row = chunk.rows[ends[is_known]]
            known = index[is_known][np.argsort(row, kind="stable")]
            counts = np.bincount(row, minlength=len(chunk))
            for ngrams in np.split(known, np.cumsum(counts)[:-1]):
                yield TaggedDocument(list(map(str, ngrams.tolist())), [place])
                place += 1

    def _frequent(self) -> Keys:
        """The keys of the n-grams that come often enough, rising."""
        found = [np.unique(self._ngrams(chunk)[0], return_counts=True) for chunk in self._sequences.chunks()]
        keys, inverse = np.unique(np.concatenate([keys for keys, _ in found]), return_inverse=True)
        counts = np.bincount(inverse, np.concatenate([counts for _, counts in found]))
        return keys[counts >= _FEWEST]

    def _ngrams(self, chunk: Sequences) -> tuple[Keys, NDArray[np.int64]]:
        """Keys of n-grams, and where each ends."""
        found = [(keys, ends) for _, keys, ends in windows(chunk, self._base, _LONGEST)]
        return np.concatenate([keys for keys, _ in found]), np.concatenate([ends for _, ends in found])
