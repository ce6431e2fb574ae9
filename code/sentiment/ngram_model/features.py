"""The words, pairs and triples that a set of reviews has, and which of them a review has."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from byoc.errors import DataError
from sentiment.text.ngrams import MAX_BASE, Keys, find_keys, iterate_ngrams
from sentiment.text.sequences import Sequences
from sentiment.text.vocabulary import MAX_ORDER


class NGrams(NamedTuple):
    """The n-grams that count.

    Attributes:
        keys: [n-grams], a number for each, rising; see ``iterate_ngrams``.
        base: how many ids words have, those that these reviews lack included.
    """

    keys: Keys
    base: int

    @classmethod
    def of(cls, sequences: Sequences, base: int) -> "NGrams":
        """Those in at least two of the reviews; the arguments are those of ``frequent``.

        Raises:
            DataError: there are none, or too many different words.
        """
        found = cls.frequent(sequences, base, 2)
        if len(found.keys) == 0:
            raise DataError(
                "no two reviews share a word, so that nothing is learned from n-grams\n"
                "give more, or ngram_init=none, max_ngrams=0 and soft_label_weight=0"
            )
        return found

    @classmethod
    def frequent(cls, sequences: Sequences, base: int, fewest: int) -> "NGrams":
        """Those in at least so many of the reviews; there may be none.

        Args:
            sequences: the reviews as word ids.
            base: larger than any word id, that of a word which only other reviews have included.
            fewest: reviews that have to have it.

        Raises:
            DataError: there are too many different words.
        """
        if base > MAX_BASE:
            raise DataError(f"of more than {MAX_BASE} words no n-grams are made\ngive a lower vocab_size")
        found = [keys for _, keys in _occurrences(sequences, base)]
        keys, counts = np.unique(np.concatenate([np.empty(0, np.int64), *found]), return_counts=True)
        return cls(keys[counts >= fewest], base)

    def matrix(self, sequences: Sequences) -> sparse.csr_array:
        """[reviews, n-grams] float32, 1 where a review has the n-gram."""
        rows, columns = [np.empty(0, np.int32)], [np.empty(0, np.int32)]
        for row, keys in _occurrences(sequences, self.base):
            column, is_known = find_keys(self.keys, keys)
            rows.append(row[is_known])
            columns.append(column[is_known].astype(np.int32))
        row, column = np.concatenate(rows), np.concatenate(columns)
        ones = np.ones(len(row), np.float32)
        return sparse.csr_array((ones, (row, column)), shape=(len(sequences), len(self.keys)))

    def words(self) -> NDArray[np.int64]:
        """[n-grams, MAX_ORDER] word ids; 0 behind the last word of a shorter one."""
        return self.keys[:, None] // self.base ** np.arange(MAX_ORDER) % self.base


def _occurrences(sequences: Sequences, base: int) -> Iterator[tuple[NDArray[np.int32], Keys]]:
    """Row and key of each n-gram in each review that has it, once; some reviews at a time."""
    first = 0
    for chunk in sequences.chunks():
        rows = chunk.rows
        found = [np.stack([rows[ends], keys]) for _, keys, ends in iterate_ngrams(chunk, base)]
        row, key = np.concatenate(found, axis=1)
        order = np.lexsort((key, row))
        row, key = row[order], key[order]
        is_first = np.ones(len(row), np.bool_)
        is_first[1:] = (row[1:] != row[:-1]) | (key[1:] != key[:-1])
        yield (first + row[is_first]).astype(np.int32), key[is_first]
        first += len(chunk)
