"""The teacher, on words whose pairs tell what they alone do not."""

import logging

import numpy as np
import pytest
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression

from sentiment.batches import Examples, Sequences
from sentiment.distillation import PARTS, NGrams, Teacher, parts, taught
from sentiment.errors import DataError

GENERATOR = np.random.default_rng(0)


def examples(count: int) -> Examples:
    """Of the words 2 and 3, positive reviews have "2 3" and negative ones "3 2" somewhere."""
    labels = (np.arange(count) % 2).astype(np.int8)
    texts = []
    for label in labels:
        words = GENERATOR.integers(4, 30, 12).tolist()
        words[5:7] = [2, 3] if label else [3, 2]
        texts.append(words)
    return Examples(Sequences.of(texts), labels)


TRAINING = examples(400)
NONE = Sequences.of([])


def test_it_learns_from_pairs() -> None:
    unlabeled = examples(100)
    told = taught(TRAINING, unlabeled.sequences, 1)[len(TRAINING.labels) :]
    assert ((told > 0.5) == (unlabeled.labels == 1)).mean() > 0.95


@pytest.mark.parametrize("share", [0.25, 1.0])
def test_target_lies_between_the_label_and_the_teachers_word(share: float) -> None:
    told = taught(TRAINING, NONE, 1)
    expected = share * told + (1 - share) * TRAINING.labels
    np.testing.assert_allclose(taught(TRAINING, NONE, share), expected, atol=1e-6)


def test_no_review_is_judged_by_a_teacher_that_knew_its_label() -> None:
    # What only this review has says nothing to a teacher that has not read it with its label.
    labels = TRAINING.labels.copy()
    before = taught(TRAINING, NONE, 1)
    labels[7] = 1 - labels[7]
    after = taught(Examples(TRAINING.sequences, labels), NONE, 1)
    same = parts(TRAINING.labels) == parts(TRAINING.labels)[7]
    assert abs(after[7] - before[7]) < 0.05
    assert same.sum() < len(labels)


def test_neighbours_of_a_class_are_in_one_part() -> None:
    labels = np.array([1] * 8 + [0] * 4, np.int8)
    assert parts(labels).tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 0, 1, 2, 3]
    assert set(parts(TRAINING.labels)) == set(range(PARTS))


def test_accuracy_of_the_teacher_is_told(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="sentiment")
    taught(TRAINING, NONE, 1)
    assert "accuracy 1.0000 on reviews it has not seen" in caplog.text


def test_single_review_of_a_class_is_refused() -> None:
    with pytest.raises(DataError, match="two reviews of each class"):
        taught(Examples(Sequences.of([[2], [2], [2]]), np.array([1, 1, 0], np.int8)), NONE, 1)


@pytest.mark.parametrize("texts", [[[2], [3], [4], [5]], [[], [], [], []]])
def test_reviews_that_share_no_word_are_refused(texts: list[list[int]]) -> None:
    with pytest.raises(DataError, match="words that two reviews share"):
        taught(Examples(Sequences.of(texts), np.array([1, 1, 0, 0], np.int8)), NONE, 1)


def test_two_reviews_of_each_class_are_enough() -> None:
    few = Examples(Sequences.of([[2], [2], [3], [3]]), np.array([1, 1, 0, 0], np.int8))
    told = taught(few, Sequences.of([[], [2]]), 1)
    assert told[0] > 0.5 > told[3]
    assert len(told) == 6


def vectorizer() -> CountVectorizer:
    """Scikit-learn's own n-grams of the same reviews."""
    return CountVectorizer(
        ngram_range=(1, 3), binary=True, min_df=2, tokenizer=str.split, token_pattern=None, lowercase=False
    )


def as_texts(sequences: Sequences) -> list[str]:
    return [" ".join(map(str, sequences[i])) for i in range(len(sequences))]


def test_ngrams_are_those_of_scikit_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sentiment.distillation._CHUNK", 7)
    matrix = NGrams.of(TRAINING.sequences).matrix(TRAINING.sequences)
    expected = vectorizer().fit_transform(as_texts(TRAINING.sequences))
    assert matrix.shape == expected.shape
    by_ours = sorted(matrix.toarray().T.tolist())
    assert by_ours == sorted(expected.toarray().T.astype(float).tolist())


def test_ngrams_that_are_new_are_passed_over() -> None:
    ngrams = NGrams.of(Sequences.of([[2, 3], [2, 3]]))
    matrix = ngrams.matrix(Sequences.of([[2, 2, 3], [9], []]))
    assert matrix.toarray().tolist() == [[1, 1, 1], [0, 0, 0], [0, 0, 0]]


def test_weights_are_those_of_the_paper() -> None:
    """Wang and Manning's formula, written out with scikit-learn's parts."""
    found = vectorizer().fit_transform(as_texts(TRAINING.sequences))
    positive, negative = (found[TRAINING.labels == label].sum(0) + 1 for label in (1, 0))
    ratios = np.asarray(np.log((positive / positive.sum()) / (negative / negative.sum())))
    regression = LogisticRegression(max_iter=1_000, tol=1e-8).fit(found.multiply(ratios), TRAINING.labels)
    expected = regression.predict_proba(found.multiply(ratios))[:, 1]
    matrix = NGrams.of(TRAINING.sequences).matrix(TRAINING.sequences)
    actual = Teacher.of(matrix, TRAINING.labels).probabilities(matrix)
    np.testing.assert_allclose(actual, expected, atol=2e-3)
