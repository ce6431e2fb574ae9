"""N-gram features of reviews."""

import pytest
from sklearn.feature_extraction.text import CountVectorizer

from byoc.errors import DataError
from sentiment.ngram_model.features import NgramFeatures
from sentiment.text.ngrams import MAX_BASE
from sentiment.text.sequences import Sequences
from sentiment.text.vocabulary import Vocabulary
from tests.support.ngram_reviews import TRAINING, VOCAB_SIZE

TWICE = Sequences.from_lists([[2, 3], [2, 3]])


def test_features_match_scikit_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sentiment.text.sequences._CHUNK", 7)
    sequences = TRAINING.sequences
    matrix = NgramFeatures.fit(sequences, VOCAB_SIZE, 2).transform(sequences)
    vectorizer = CountVectorizer(
        ngram_range=(1, 3), binary=True, min_df=2, tokenizer=str.split, token_pattern=None, lowercase=False
    )
    texts = [" ".join(map(str, sequences[i])) for i in range(len(sequences))]
    expected = vectorizer.fit_transform(texts)
    assert matrix.shape == expected.shape
    assert sorted(matrix.toarray().T.tolist()) == sorted(expected.toarray().T.astype(float).tolist())


def test_transform_ignores_new_ngrams() -> None:
    # With a base of 4, the word 14 would collide with the pair 2 + 4 * 3.
    matrix = NgramFeatures.fit(TWICE, 20, 2).transform(Sequences.from_lists([[2, 2, 3], [14], []]))
    assert matrix.toarray().tolist() == [[1, 1, 1], [0, 0, 0], [0, 0, 0]]


def test_word_ids_are_padded_with_zero() -> None:
    assert NgramFeatures.fit(TWICE, 20, 2).word_ids().tolist() == [[2, 0, 0], [3, 0, 0], [2, 3, 0]]


def test_tokens_are_words_with_spaces() -> None:
    features = NgramFeatures.fit(TWICE, 20, 2)
    assert features.to_tokens(features.keys[:0], Vocabulary(["not", "good"])) == []
    assert features.to_tokens(features.keys[2:] * 0 + 2, Vocabulary(["not", "good"])) == ["not good"]


def test_fit_counts_reviews_not_occurrences() -> None:
    texts = Sequences.from_lists([[2, 3], [2, 3, 3], [2], [3, 2, 2, 2]])
    counts = [len(NgramFeatures.fit(texts, 20, min_reviews).keys) for min_reviews in (1, 2, 3, 4, 5)]
    assert counts == [9, 3, 2, 1, 0]


def test_too_large_vocabulary_is_rejected() -> None:
    with pytest.raises(DataError, match="lower vocab_size"):
        NgramFeatures.fit(Sequences.from_lists([[2], [2]]), MAX_BASE + 1, 2)
