"""Binary n-gram features of reviews; an n-gram of token ids is one integer key."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from byoc.errors import DataError
from sentiment.text.sequences import Sequences

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
        occurrences = [keys for _, keys in _iterate_occurrences(sequences, base)]
        keys, counts = np.unique(np.concatenate([np.empty(0, np.int64), *occurrences]), return_counts=True)
        keys, counts = keys[counts > 1], counts[counts > 1]
        most_frequent = np.argsort(-counts, kind="stable")[:max_ngrams]
        return cls(np.sort(keys[most_frequent]), base)

    def transform(self, sequences: Sequences) -> sparse.csr_array:
        """[reviews, n-grams] float32, 1 where a review has the n-gram."""
        none = np.empty(0, np.int32)
        rows, columns = zip((none, none), *self.iterate(sequences), strict=True)
        row, column = np.concatenate(rows), np.concatenate(columns)
        ones = np.ones(len(row), np.float32)
        return sparse.csr_array((ones, (row, column)), shape=(len(sequences), len(self.keys)))

    def iterate(self, sequences: Sequences) -> Iterator[tuple[NDArray[np.int32], NDArray[np.int32]]]:
        """Review and feature of each pair that ``transform`` sets to 1, a chunk of reviews at a time."""
        for row, keys in _iterate_occurrences(sequences, self.base):
            column = np.searchsorted(self.keys, keys).clip(max=len(self.keys) - 1)
            is_feature = self.keys[column] == keys
            yield row[is_feature], column[is_feature].astype(np.int32)


def _iterate_occurrences(sequences: Sequences, base: int) -> Iterator[tuple[NDArray[np.int32], Keys]]:
    """Row and key of each distinct n-gram of each review, a chunk of reviews at a time."""
    start = 0
    for chunk in sequences.chunks():
        rows, ids = chunk.rows, chunk.ids.astype(np.int64)
        keys, occurrences = ids, [np.stack([rows, ids])]
        for order in range(2, MAX_ORDER + 1):
            keys = keys[:-1] + base ** (order - 1) * ids[order - 1 :]
            is_within = rows[order - 1 :] == rows[: len(rows) - order + 1]
            occurrences.append(np.stack([rows[order - 1 :], keys])[:, is_within])
        row, key = np.concatenate(occurrences, axis=1)
        order_by_row = np.lexsort((key, row))
        row, key = row[order_by_row], key[order_by_row]
        is_first = np.ones(len(row), np.bool_)
        is_first[1:] = (row[1:] != row[:-1]) | (key[1:] != key[:-1])
        yield (start + row[is_first]).astype(np.int32), key[is_first]
        start += len(chunk)
