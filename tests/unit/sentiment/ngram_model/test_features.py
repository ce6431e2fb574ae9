"""N-gram features of reviews."""

import numpy as np
import pytest
from sklearn.feature_extraction.text import CountVectorizer

from byoc.errors import DataError
from sentiment.ngram_model.features import MAX_BASE, NgramFeatures
from sentiment.text.sequences import Sequences
from tests.support.ngram_reviews import TRAINING, VOCAB_SIZE

TWICE = Sequences.from_lists([[2, 3], [2, 3]])
ALL = 10**6


def test_features_match_scikit_learn() -> None:
    sequences = TRAINING.sequences
    matrix = NgramFeatures.fit(sequences, VOCAB_SIZE, ALL).transform(sequences)
    vectorizer = CountVectorizer(
        ngram_range=(1, 3), binary=True, min_df=2, tokenizer=str.split, token_pattern=None, lowercase=False
    )
    texts = [" ".join(map(str, sequences[i])) for i in range(len(sequences))]
    expected = vectorizer.fit_transform(texts)
    assert matrix.shape == expected.shape
    assert sorted(matrix.toarray().T.tolist()) == sorted(expected.toarray().T.astype(float).tolist())


def test_keys_are_sorted_numbers_of_ngrams() -> None:
    sequences = Sequences.from_lists([[2, 3, 4], [2, 3, 4]])
    assert NgramFeatures.fit(sequences, 20, ALL).keys.tolist() == [
        *(2, 3, 4),
        *(2 + 20 * 3, 3 + 20 * 4),
        2 + 20 * 3 + 400 * 4,
    ]


def test_transform_ignores_new_ngrams() -> None:
    # With a base of 4, the word 14 would collide with the pair 2 + 4 * 3.
    matrix = NgramFeatures.fit(TWICE, 20, ALL).transform(Sequences.from_lists([[2, 2, 3], [14], []]))
    assert matrix.toarray().tolist() == [[1, 1, 1], [0, 0, 0], [0, 0, 0]]
    assert matrix.dtype == np.float32
    assert matrix.indices.dtype == np.int32


def test_ngram_stays_within_a_review() -> None:
    features = NgramFeatures.fit(TWICE, 20, ALL)
    assert features.transform(Sequences.from_lists([[2], [3]])).toarray().tolist() == [[1, 0, 0], [0, 1, 0]]


def test_ngram_of_one_review_is_dropped() -> None:
    """Reviews count, not occurrences."""
    texts = Sequences.from_lists([[2, 3], [2, 3, 3], [2], [3, 2, 2, 2]])
    assert NgramFeatures.fit(texts, 20, ALL).keys.tolist() == [2, 3, 2 + 20 * 3]


@pytest.mark.parametrize(
    ("max_ngrams", "keys"), [(1, [2]), (2, [2, 4]), (3, [2, 3, 4]), (4, [2, 3, 4, 5]), (9, [2, 3, 4, 5])]
)
def test_max_ngrams_keeps_most_frequent(max_ngrams: int, keys: list[int]) -> None:
    texts = Sequences.from_lists([[2], [2], [2], [2], [4], [4], [4], [3], [3], [5], [5]])
    assert NgramFeatures.fit(texts, 20, max_ngrams).keys.tolist() == keys


@pytest.mark.parametrize("texts", [[], [[], []], [[2, 3], [4]]])
def test_no_common_ngram_gives_none(texts: list[list[int]]) -> None:
    assert len(NgramFeatures.fit(Sequences.from_lists(texts), 20, ALL).keys) == 0


def test_largest_vocabulary_has_distinct_keys() -> None:
    last = MAX_BASE - 1
    sequences = Sequences.from_lists([[last] * 3] * 2)
    assert NgramFeatures.fit(sequences, MAX_BASE, ALL).keys.tolist() == [
        last,
        MAX_BASE**2 - 1,
        MAX_BASE**3 - 1,
    ]


def test_too_large_vocabulary_is_rejected() -> None:
    with pytest.raises(DataError, match="lower vocab_size"):
        NgramFeatures.fit(TWICE, MAX_BASE + 1, ALL)
