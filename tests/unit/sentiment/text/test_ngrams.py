"""N-gram keys and the insertion of n-gram tokens."""

import numpy as np
import pytest

from sentiment.text.ngrams import MAX_BASE, NgramInserter, encode_ngram, iterate_ngrams
from sentiment.text.sequences import Sequences
from sentiment.text.vocabulary import Vocabulary

WORDS = ["not", "good", "at", "all"]  # 2, 3, 4, 5
INSERTER = NgramInserter(Vocabulary(WORDS, ["not good at", "at all", "not good"]))  # 6, 7, 8


def ngrams(*texts: list[int]) -> list[tuple[int, list[int], list[int]]]:
    sequences = Sequences.from_lists(texts)
    return [(order, keys.tolist(), ends.tolist()) for order, keys, ends in iterate_ngrams(sequences, 10)]


def insert(*texts: list[int]) -> list[list[int]]:
    sequences = INSERTER.insert(Sequences.from_lists(texts))
    return [sequences[i].tolist() for i in range(len(sequences))]


def test_ngrams_stay_within_a_review() -> None:
    assert ngrams([2, 3, 4], [5, 6]) == [
        (1, [2, 3, 4, 5, 6], [0, 1, 2, 3, 4]),
        (2, [32, 43, 65], [1, 2, 4]),
        (3, [432], [2]),
    ]


@pytest.mark.parametrize("texts", [[], [[]], [[2]], [[], [2], []], [[2, 3], []]])
def test_short_reviews_have_fewer_ngrams(texts: list[list[int]]) -> None:
    counts = [len(keys) for _, keys, _ in ngrams(*texts)]
    assert counts == [sum(max(0, len(text) - missing) for text in texts) for missing in range(3)]


def test_encoded_ngram_equals_iterated_key() -> None:
    assert encode_ngram([2, 3, 4], 10) == 432


def test_largest_key_fits_63_bits() -> None:
    assert encode_ngram([MAX_BASE - 1] * 3, MAX_BASE) <= np.iinfo(np.int64).max


def test_ngram_token_follows_its_last_word() -> None:
    assert insert([2, 3, 4, 5]) == [[2, 3, 8, 4, 6, 5, 7]]


def test_ngram_token_spans_no_reviews() -> None:
    assert insert([3, 2], [3, 4], [], [5]) == [[3, 2], [3, 4], [], [5]]


def test_unknown_words_form_no_ngram() -> None:
    assert insert([2, 1, 3]) == [[2, 1, 3]]


def test_vocabulary_without_ngrams_copies_nothing() -> None:
    sequences = Sequences.from_lists([[2, 3]])
    assert NgramInserter(Vocabulary(WORDS)).insert(sequences) is sequences


def test_insertion_accepts_no_reviews() -> None:
    assert insert() == []


def test_insertion_is_independent_of_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(0)
    texts = [generator.integers(1, 6, length).tolist() for length in generator.integers(0, 9, 50)]
    whole = insert(*texts)
    monkeypatch.setattr("sentiment.text.sequences._CHUNK", 3)
    assert insert(*texts) == whole
    assert whole == [review for text in texts for review in insert(text)]


def test_insertion_keeps_every_word() -> None:
    text = [2, 3, 4, 5, 4, 5, 2, 3]
    assert [token for token in insert(text)[0] if token < 6] == text
