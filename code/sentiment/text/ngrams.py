"""Words, pairs and triples of reviews, as numbers."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from sentiment.text.sequences import Sequences
from sentiment.text.vocabulary import LONGEST

Keys = NDArray[np.int64]

# The key of the words a, b, c is a + base * b + base**2 * c, which has to fit in 63 bits.
LARGEST_BASE = 2**21


def key(words: Sequence[int], base: int) -> int:
    """That of one n-gram."""
    return sum(word * base**place for place, word in enumerate(words))


def find(known: Keys, keys: Keys) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """[keys] where each is among the known ones, of which there are some, rising; and whether it is."""
    index = np.searchsorted(known, keys).clip(max=len(known) - 1)
    return index, known[index] == keys


def windows(
    sequences: Sequences, base: int, longest: int = LONGEST
) -> Iterator[tuple[int, Keys, NDArray[np.int64]]]:
    """The n-grams of reviews, one length after the other.

    Args:
        sequences: word ids.
        base: a number larger than any of them.
        longest: how many words an n-gram has at most.

    Yields:
        How many words more than one they have; [n-grams] their keys; [n-grams] where, in ``sequences.ids``,
        the last word of each is.
    """
    ids = sequences.ids.astype(np.int64)
    rows = sequences.rows
    keys, ends = ids, np.arange(len(ids))
    yield 0, keys, ends
    for more in range(1, longest):
        keys = keys[:-1] + base**more * ids[more:]
        is_within = rows[more:] == rows[: len(rows) - more]
        yield more, keys[is_within], ends[more:][is_within]
