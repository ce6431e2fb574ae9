"""Binary n-gram features of reviews; an n-gram of token ids is one integer key.

Prediction needs neither scipy nor scikit-learn, which take 90 MB and two seconds: only ``transform`` and
``NBSVM.fit`` import them.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from byoc.errors import DataError
from sentiment.text.sequences import Sequences

if TYPE_CHECKING:
    from scipy import sparse

Keys = NDArray[np.int64]

MAX_ORDER = 3  # words of an n-gram
# The key of the n-gram a, b, c is a + base * b + base**2 * c, which must fit in 63 bits.
MAX_BASE = 2**21


class NgramFeatures(NamedTuple):
    """The n-grams that serve as features."""

    keys: Keys  # [n-grams], sorted
    base: int  # number of token ids

    @classmethod
    def fit(cls, sequences: Sequences, base: int, max_ngrams: int) -> "NgramFeatures":
        """Select n-grams of at least two reviews: those of the most reviews, up to ``max_ngrams``.

        Raises:
            DataError: the vocabulary is too large for n-gram keys.
        """
        if base > MAX_BASE:
            raise DataError(f"n-grams support at most {MAX_BASE} token ids; lower vocab_size")
        occurrences = [_distinct_keys(sequences[i], base) for i in range(len(sequences))]
        keys, counts = np.unique(np.concatenate([np.empty(0, np.int64), *occurrences]), return_counts=True)
        keys, counts = keys[counts > 1], counts[counts > 1]
        most_frequent = np.argsort(-counts, kind="stable")[:max_ngrams]
        return cls(np.sort(keys[most_frequent]), base)

    def transform(self, sequences: Sequences) -> "sparse.csr_array":
        """[reviews, n-grams] float32, 1 where a review has the n-gram."""
        from scipy import sparse  # noqa: PLC0415 (only fitting needs it: see above)

        rows = list(self.iterate(sequences))
        column = np.concatenate([np.empty(0, np.int32), *rows])
        # Otherwise scipy stores the columns in 64 bits, too.
        offsets = np.cumsum([0, *map(len, rows)], dtype=sparse.get_index_dtype(maxval=len(column)))
        ones = np.ones(len(column), np.float32)
        return sparse.csr_array((ones, column, offsets), shape=(len(sequences), len(self.keys)))

    def iterate(self, sequences: Sequences) -> Iterator[NDArray[np.int32]]:
        """The features of each review, in ascending order."""
        for i in range(len(sequences)):
            keys = _distinct_keys(sequences[i], self.base)
            column = np.searchsorted(self.keys, keys).clip(max=len(self.keys) - 1)
            yield column[self.keys[column] == keys].astype(np.int32)


def _distinct_keys(ids: NDArray[np.int32], base: int) -> Keys:
    """Sorted keys of the n-grams of a review."""
    words = keys = ids.astype(np.int64)
    ngrams = [words]
    for order in range(1, MAX_ORDER):
        keys = keys[:-1] + base**order * words[order:]
        ngrams.append(keys)
    keys = np.sort(np.concatenate(ngrams))
    is_first = np.ones(len(keys), np.bool_)
    is_first[1:] = keys[1:] != keys[:-1]
    return keys[is_first]
