"""The share of unknown words in reviews."""

import pytest

from sentiment.text.sequences import Sequences
from sentiment.text.unknown_share import exceeds, measure_unknown_share

NONE = Sequences.from_lists([])


def test_percentiles_are_of_reviews_with_words() -> None:
    training = Sequences.from_lists([[2, 2], [], [1, 2], [1, 1, 1, 2]])
    shares = measure_unknown_share(training, NONE, 3)
    assert (shares["50"], shares["100"]) == (0.5, 0.75)
    assert 0.74 < shares["99.9"] < 0.75


@pytest.mark.parametrize(("unlabeled", "share"), [(NONE, 0.5), (Sequences.from_lists([[3]]), 0.0)])
def test_word_of_one_review_is_unknown(unlabeled: Sequences, share: float) -> None:
    training = Sequences.from_lists([[2, 3], [2, 2]])
    assert measure_unknown_share(training, unlabeled, 4)["100"] == share


def test_no_words_have_no_percentiles() -> None:
    assert measure_unknown_share(NONE, NONE, 2) == {}


@pytest.mark.parametrize(
    ("unknown", "words", "expected"),
    [(0, 0, False), (1, 2, False), (2, 3, False), (4, 5, True), (11, 100, False), (30, 100, True)],
)
def test_short_text_needs_a_larger_share(unknown: int, words: int, expected: bool) -> None:
    assert exceeds(unknown, words, 0.1) == expected
