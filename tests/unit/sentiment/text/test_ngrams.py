"""N-grams as numbers."""

import numpy as np
import pytest

from sentiment.text.ngrams import LARGEST_BASE, key, windows
from sentiment.text.sequences import Sequences


def found(*texts: list[int]) -> list[tuple[int, list[int], list[int]]]:
    return [(more, keys.tolist(), ends.tolist()) for more, keys, ends in windows(Sequences.of(texts), 10)]


def test_words_pairs_and_triples_are_found_within_a_review() -> None:
    assert found([2, 3, 4], [5, 6]) == [
        (0, [2, 3, 4, 5, 6], [0, 1, 2, 3, 4]),
        (1, [32, 43, 65], [1, 2, 4]),
        (2, [432], [2]),
    ]


@pytest.mark.parametrize("texts", [[], [[]], [[2]], [[], [2], []], [[2, 3], []]])
def test_short_reviews_have_fewer(texts: list[list[int]]) -> None:
    counts = [len(keys) for _, keys, _ in found(*texts)]
    assert counts == [sum(max(0, len(text) - more) for text in texts) for more in range(3)]


def test_key_of_one_is_that_of_the_window() -> None:
    assert key([2, 3, 4], 10) == 432


def test_largest_key_fits() -> None:
    assert key([LARGEST_BASE - 1] * 3, LARGEST_BASE) <= np.iinfo(np.int64).max
