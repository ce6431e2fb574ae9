"""N-grams of token ids as integer keys, and frequent n-grams as tokens of their own ("not good not_good").

An LSTM sees rare pairs of words too seldom to learn their meaning; as a token, a pair has an embedding and a
score. Phrases as tokens: Mikolov et al., NIPS 2013 (arXiv:1310.4546), section 4; here the words stay, too.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from sentiment.text.sequences import Sequences
from sentiment.text.vocabulary import MAX_ORDER, Vocabulary

Keys = NDArray[np.int64]

# The key of the n-gram a, b, c is a + base * b + base**2 * c, which must fit in 63 bits.
MAX_BASE = 2**21


def encode_ngram(ids: Sequence[int], base: int) -> int:
    """Key of one n-gram."""
    return sum(token * base**place for place, token in enumerate(ids))


def find_keys(sorted_keys: Keys, keys: Keys) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """[keys] index of each key in a non-empty sorted array, and whether it is in there."""
    index = np.searchsorted(sorted_keys, keys).clip(max=len(sorted_keys) - 1)
    return index, sorted_keys[index] == keys


def iterate_ngrams(
    sequences: Sequences, base: int, max_order: int = MAX_ORDER
) -> Iterator[tuple[int, Keys, NDArray[np.int64]]]:
    """Unigrams, then bigrams, and so on; ``base`` must exceed every id.

    Yields:
        Order, [n-grams] keys, and [n-grams] position of each last token in ``sequences.ids``.
    """
    ids = sequences.ids.astype(np.int64)
    rows = sequences.rows
    keys, ends = ids, np.arange(len(ids))
    yield 1, keys, ends
    for order in range(2, max_order + 1):
        keys = keys[:-1] + base ** (order - 1) * ids[order - 1 :]
        is_within = rows[order - 1 :] == rows[: len(rows) - order + 1]
        yield order, keys[is_within], ends[order - 1 :][is_within]


class NgramInserter:
    """Inserts the vocabulary's n-gram tokens into sequences of word ids."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._base = vocabulary.first_ngram
        words = (vocabulary.ids(ngram.split()) for ngram in vocabulary.ngrams)
        keys = np.array([encode_ngram(ids, self._base) for ids in words], np.int64)
        order = np.argsort(keys)
        self._keys = keys[order]
        self._ids = (self._base + order).astype(np.int32)

    def insert(self, sequences: Sequences) -> Sequences:
        """Each n-gram token follows the last word of its n-gram, bigrams before trigrams."""
        if len(self._keys) == 0:
            return sequences
        chunks = [self._insert(chunk) for chunk in sequences.chunks()]
        lengths = np.concatenate([np.zeros(1, np.int64), *(chunk.lengths for chunk in chunks)])
        ids = np.concatenate([np.empty(0, np.int32), *(chunk.ids for chunk in chunks)])
        return Sequences(ids, np.cumsum(lengths))

    def _insert(self, chunk: Sequences) -> Sequences:
        tokens = np.zeros((len(chunk.ids), MAX_ORDER), np.int32)
        tokens[:, 0] = chunk.ids
        for order, keys, ends in iterate_ngrams(chunk, self._base):
            if order > 1:
                index, is_token = find_keys(self._keys, keys)
                tokens[ends[is_token], order - 1] = self._ids[index[is_token]]
        offsets = np.concatenate([[0], np.cumsum((tokens > 0).sum(1))])
        return Sequences(tokens[tokens > 0], offsets[chunk.offsets])
