"""Phrases among the words of reviews."""

import numpy as np
import pytest

from sentiment.text.phrases import Phrases
from sentiment.text.sequences import Sequences
from sentiment.text.vocabulary import Vocabulary

WORDS = ["not", "good", "at", "all"]  # 2, 3, 4, 5
PHRASES = Phrases(Vocabulary(WORDS, ["not good at", "at all", "not good"]))  # 6, 7, 8


def inserted(*texts: list[int]) -> list[list[int]]:
    sequences = PHRASES.inserted(Sequences.of(texts))
    return [sequences[i].tolist() for i in range(len(sequences))]


def test_phrase_comes_behind_its_last_word_and_a_pair_before_a_triple() -> None:
    assert inserted([2, 3, 4, 5]) == [[2, 3, 8, 4, 6, 5, 7]]


def test_phrase_does_not_reach_from_review_to_review() -> None:
    assert inserted([3, 2], [3, 4], [], [5]) == [[3, 2], [3, 4], [], [5]]


def test_infrequent_words_belong_to_no_phrase() -> None:
    assert inserted([2, 1, 3]) == [[2, 1, 3]]


def test_nothing_changes_without_phrases() -> None:
    sequences = Sequences.of([[2, 3]])
    assert Phrases(Vocabulary(WORDS)).inserted(sequences) is sequences


def test_no_review_gives_none() -> None:
    assert inserted() == []


def test_same_comes_of_it_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(0)
    texts = [generator.integers(1, 6, length).tolist() for length in generator.integers(0, 9, 50)]
    whole = inserted(*texts)
    monkeypatch.setattr("sentiment.text.sequences._CHUNK", 3)
    assert inserted(*texts) == whole
    assert whole == [one for text in texts for one in inserted(text)]


def test_words_that_are_left_are_the_review() -> None:
    text = [2, 3, 4, 5, 4, 5, 2, 3]
    assert [word for word in inserted(text)[0] if word < 6] == text
