"""The share of letters that the tokenizer "ascii" drops."""

import logging

import pytest

from byoc.errors import DataError
from sentiment.text.dropped_letters import LetterCounter


def count(*reviews: str) -> LetterCounter:
    counter = LetterCounter()
    for review in reviews:
        counter.add(review)
    return counter


def share(*reviews: str) -> float:
    counter = count(*reviews)
    return counter.dropped / counter.letters


@pytest.mark.parametrize(
    ("review", "letters", "dropped"),
    [
        ("A film, 9/10!", 5, 0),
        ("café 😀 ½", 4, 1),
        ("caf&eacute; &amp;", 4, 1),
        ("电影 film", 6, 2),
        ("cafe\u0301", 4, 1),  # decomposed
        ("हि", 1, 1),  # the vowel is a mark
    ],
)
def test_letters_are_counted(review: str, letters: int, dropped: int) -> None:
    counter = count(review)
    assert (counter.letters, counter.dropped) == (letters, dropped)


def test_many_reviews_are_sampled() -> None:
    assert share(*["abc é"] * 10_000) == pytest.approx(0.25)
    assert share(*["abc"] * 5_000, *["é" * 3] * 5_000) == pytest.approx(0.5, abs=0.02)


def test_high_share_is_rejected_with_examples() -> None:
    with pytest.raises(DataError) as caught:
        count("Très bon film, très drôle").check("channel training", 0.01)
    assert str(caught.value) == (
        "channel training: tokenizer=ascii would drop 15.0% of the letters, for example of Très, très, "
        "drôle; set tokenizer=unicode, or raise max_dropped_letters (now 0.01)"
    )


def test_low_share_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="sentiment")
    count("a" * 999 + "é").check("channel training", 0.01)
    assert "channel training: tokenizer=ascii drops 0.100 % of the letters" in caplog.text


def test_texts_without_letters_pass() -> None:
    count("", "9/10").check("channel training", 0.0)
