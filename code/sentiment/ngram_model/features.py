"""Binary n-gram features of reviews."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from byoc.errors import DataError
from sentiment.text.ngrams import MAX_BASE, Keys, find_keys, iterate_ngrams
from sentiment.text.sequences import Sequences
from sentiment.text.vocabulary import MAX_ORDER, Vocabulary


class NgramFeatures(NamedTuple):
    """The n-grams that serve as features."""

    keys: Keys  # [n-grams], sorted
    base: int  # number of word ids, see ``iterate_ngrams``

    @classmethod
    def fit(cls, sequences: Sequences, base: int, min_reviews: int) -> "NgramFeatures":
        """Select the n-grams, if any, of at least ``min_reviews`` reviews.

        Raises:
            DataError: the vocabulary is too large for n-gram keys.
        """
        if base > MAX_BASE:
            raise DataError(f"n-grams support at most {MAX_BASE} token ids; lower vocab_size")
        occurrences = [keys for _, keys in _iterate_occurrences(sequences, base)]
        keys, counts = np.unique(np.concatenate([np.empty(0, np.int64), *occurrences]), return_counts=True)
        return cls(keys[counts >= min_reviews], base)

    def transform(self, sequences: Sequences) -> sparse.csr_array:
        """[reviews, n-grams] float32, 1 where a review has the n-gram."""
        rows, columns = [np.empty(0, np.int32)], [np.empty(0, np.int32)]
        for row, keys in _iterate_occurrences(sequences, self.base):
            column, is_feature = find_keys(self.keys, keys)
            rows.append(row[is_feature])
            columns.append(column[is_feature].astype(np.int32))
        row, column = np.concatenate(rows), np.concatenate(columns)
        ones = np.ones(len(row), np.float32)
        return sparse.csr_array((ones, (row, column)), shape=(len(sequences), len(self.keys)))

    def word_ids(self) -> NDArray[np.int64]:
        """[n-grams, MAX_ORDER], padded with 0."""
        return self.keys[:, None] // self.base ** np.arange(MAX_ORDER) % self.base

    def to_tokens(self, indices: NDArray[np.int64], vocabulary: Vocabulary) -> list[str]:
        """Selected n-grams as words separated by spaces."""
        return [
            " ".join(map(vocabulary.word, filter(None, ids))) for ids in self.word_ids()[indices].tolist()
        ]


def _iterate_occurrences(sequences: Sequences, base: int) -> Iterator[tuple[NDArray[np.int32], Keys]]:
    """Row and key of each distinct n-gram of each review, a chunk of reviews at a time."""
    start = 0
    for chunk in sequences.chunks():
        rows = chunk.rows
        row, key = np.concatenate(
            [np.stack([rows[ends], keys]) for _, keys, ends in iterate_ngrams(chunk, base)], axis=1
        )
        order = np.lexsort((key, row))
        row, key = row[order], key[order]
        is_first = np.ones(len(row), np.bool_)
        is_first[1:] = (row[1:] != row[:-1]) | (key[1:] != key[:-1])
        yield (start + row[is_first]).astype(np.int32), key[is_first]
        start += len(chunk)
