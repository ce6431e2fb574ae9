"""Word pairs and triples with an id of their own, which comes behind their last word: "not good not_good".

An LSTM can find out by itself that "not good" is bad, but not from the few reviews that have so rare a pair.
As a word of its own it has a vector to begin with, and of what the network learns its own share. Phrases as
words: Mikolov et al., NIPS 2013 (arXiv:1310.4546), section 4; here their words stay.
"""

import numpy as np

from sentiment.text.ngrams import find, key, windows
from sentiment.text.sequences import Sequences
from sentiment.text.vocabulary import LONGEST, Vocabulary


class Phrases:
    """The phrases of a lookup table, ready to be found."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._base = vocabulary.first_phrase
        words = (vocabulary.ids(phrase.split()) for phrase in vocabulary.phrases)
        keys = np.array([key(ids, self._base) for ids in words], np.int64)
        order = np.argsort(keys)
        self._keys = keys[order]
        self._ids = (self._base + order).astype(np.int32)

    def inserted(self, sequences: Sequences) -> Sequences:
        """The sequences with the id of each phrase behind its last word, a pair's before a triple's."""
        if len(self._keys) == 0:
            return sequences
        chunks = [self._inserted(chunk) for chunk in sequences.chunks()]
        lengths = np.concatenate([np.zeros(1, np.int64), *(chunk.lengths for chunk in chunks)])
        ids = np.concatenate([np.empty(0, np.int32), *(chunk.ids for chunk in chunks)])
        return Sequences(ids, np.cumsum(lengths))

    def _inserted(self, chunk: Sequences) -> Sequences:
        found = np.zeros((len(chunk.ids), LONGEST), np.int32)
        found[:, 0] = chunk.ids
        for more, keys, ends in windows(chunk, self._base):
            if more > 0:
                index, is_phrase = find(self._keys, keys)
                found[ends[is_phrase], more] = self._ids[index[is_phrase]]
        before = np.concatenate([[0], np.cumsum((found > 0).sum(1))])
        return Sequences(found[found > 0], before[chunk.offsets])
