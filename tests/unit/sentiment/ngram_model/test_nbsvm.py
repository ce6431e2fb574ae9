"""The regressions that an LSTM learns from, on words whose pairs tell what they alone do not."""

import logging

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from byoc.errors import DataError
from sentiment.ngram_model.nbsvm import PARTS, Teacher, Teachers, parts
from sentiment.text.sequences import Examples, Sequences
from tests.support.ngram_reviews import MOVIES, TRAINING, VOCAB_SIZE, examples


def test_it_learns_from_pairs() -> None:
    teachers = Teachers.of(TRAINING, MOVIES, VOCAB_SIZE)
    others = examples(100)
    told = teachers.each[-1].probabilities(teachers.ngrams.matrix(others.sequences))
    assert ((told > 0.5) == (others.labels == 1)).mean() > 0.95


def test_no_review_is_judged_by_a_teacher_that_knew_its_label() -> None:
    # What only this review has says nothing to a teacher that has not read it with its label.
    labels = TRAINING.labels.copy()
    before = Teachers.of(TRAINING, MOVIES, VOCAB_SIZE).told()
    labels[7] = 1 - labels[7]
    after = Teachers.of(Examples(TRAINING.sequences, labels), MOVIES, VOCAB_SIZE)
    assert after.told()[7] == pytest.approx(before[7], abs=1e-6)
    assert after.told()[8] != before[8]


def test_reviews_of_a_movie_are_in_one_part() -> None:
    movies = np.array([5, 9, 5, 2, 9, 2], np.uint64)
    assert parts(np.array([1, 0, 0, 1, 1, 0], np.int8), movies).tolist() == [1, 1, 1, 2, 1, 2]


def test_all_parts_have_reviews() -> None:
    assert set(parts(TRAINING.labels, MOVIES)) == set(range(PARTS))


def test_too_few_movies_are_parted_by_review() -> None:
    labels = np.array([1, 1, 1, 0, 0], np.int8)
    part = parts(labels, np.zeros(5, np.uint64))
    assert part.tolist() == [0, 1, 2, 0, 1]


def test_accuracy_is_told(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="sentiment")
    Teachers.of(TRAINING, MOVIES, VOCAB_SIZE)
    assert "accuracy 1.0000 on reviews not seen" in caplog.text


def test_single_review_of_a_class_is_refused() -> None:
    few = Examples(Sequences.from_lists([[2], [2], [2]]), np.array([1, 1, 0], np.int8))
    with pytest.raises(DataError, match="two reviews of each class"):
        Teachers.of(few, MOVIES[:3], VOCAB_SIZE)


def test_two_reviews_of_each_class_are_enough() -> None:
    few = Examples(Sequences.from_lists([[2], [2], [3], [3]]), np.array([1, 1, 0, 0], np.int8))
    assert len(Teachers.of(few, MOVIES[:4], VOCAB_SIZE).told()) == 4


def test_each_teacher_judges_reviews_without_a_label() -> None:
    others = examples(1_500)  # more than are judged at a time
    told = Teachers.of(TRAINING, MOVIES, VOCAB_SIZE).told_of(others.sequences)
    assert told.shape == (PARTS + 1, 1_500)
    assert (((told > 0.5) == (others.labels == 1)).mean(1) > 0.95).all()


def test_ngrams_that_are_not_allowed_have_no_weight() -> None:
    matrix = Teachers.of(TRAINING, MOVIES, VOCAB_SIZE).matrix
    allowed = np.arange(matrix.shape[1]) % 2 == 0
    found = Teacher.of(matrix, TRAINING.labels.astype(np.float32), allowed=allowed)
    assert (found.coefficients[~allowed] == 0).all()
    assert (found.coefficients[allowed] != 0).any()


def test_weights_are_those_of_the_paper() -> None:
    """Wang and Manning's formula, written out with scikit-learn's parts."""
    matrix = Teachers.of(TRAINING, MOVIES, VOCAB_SIZE).matrix
    positive, negative = (matrix[TRAINING.labels == label].sum(0) + 1 for label in (1, 0))
    ratios = np.log((positive / positive.sum()) / (negative / negative.sum()))
    regression = LogisticRegression(max_iter=1_000, tol=1e-8).fit(matrix.multiply(ratios), TRAINING.labels)
    expected = regression.predict_proba(matrix.multiply(ratios))[:, 1]
    actual = Teacher.of(matrix, TRAINING.labels.astype(np.float32)).probabilities(matrix)
    np.testing.assert_allclose(actual, expected, atol=2e-3)
