"""The n-grams of a set of reviews."""

import pytest
from sklearn.feature_extraction.text import CountVectorizer

from byoc.errors import DataError
from sentiment.ngram_model.features import NGrams
from sentiment.text.sequences import Sequences
from tests.support.ngram_reviews import TRAINING, VOCAB_SIZE


def as_texts(sequences: Sequences) -> list[str]:
    return [" ".join(map(str, sequences[i])) for i in range(len(sequences))]


def test_ngrams_are_those_of_scikit_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sentiment.text.sequences._CHUNK", 7)
    matrix = NGrams.of(TRAINING.sequences, VOCAB_SIZE).matrix(TRAINING.sequences)
    vectorizer = CountVectorizer(
        ngram_range=(1, 3), binary=True, min_df=2, tokenizer=str.split, token_pattern=None, lowercase=False
    )
    expected = vectorizer.fit_transform(as_texts(TRAINING.sequences))
    assert matrix.shape == expected.shape
    by_ours = sorted(matrix.toarray().T.tolist())
    assert by_ours == sorted(expected.toarray().T.astype(float).tolist())


def test_ngrams_that_are_new_are_passed_over() -> None:
    ngrams = NGrams.of(Sequences.from_lists([[2, 3], [2, 3]]), 20)
    # To whom only knew the ids 2 and 3 the word 14 would be 2 + 4 * 3, the pair of both.
    matrix = ngrams.matrix(Sequences.from_lists([[2, 2, 3], [14], []]))
    assert matrix.toarray().tolist() == [[1, 1, 1], [0, 0, 0], [0, 0, 0]]


def test_words_of_ngrams_are_told() -> None:
    ngrams = NGrams.of(Sequences.from_lists([[2, 3], [2, 3]]), 20)
    assert ngrams.words().tolist() == [
        [2, 0, 0],
        [3, 0, 0],
        [2, 3, 0],
    ]


def test_frequent_ones_are_in_as_many_reviews_as_asked() -> None:
    texts = Sequences.from_lists([[2, 3], [2, 3, 3], [2], [3, 2, 2, 2]])
    assert [len(NGrams.frequent(texts, 20, fewest).keys) for fewest in (1, 2, 3, 4, 5)] == [9, 3, 2, 1, 0]


@pytest.mark.parametrize("texts", [[[2], [3], [4], [5]], [[], [], [], []], []])
def test_reviews_that_share_no_word_are_refused(texts: list[list[int]]) -> None:
    with pytest.raises(DataError, match="no two reviews share a word"):
        NGrams.of(Sequences.from_lists(texts), 20)


def test_more_words_than_keys_can_tell_apart_are_refused() -> None:
    with pytest.raises(DataError, match="lower vocab_size"):
        NGrams.of(Sequences.from_lists([[2], [2]]), 2**21 + 1)
