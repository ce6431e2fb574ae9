"""Out-of-fold scores of tokens."""

import numpy as np
import pytest
from numpy.typing import NDArray

from sentiment.ngram_model.cross_fit import FOLDS, CrossFittedNBSVM
from sentiment.ngram_model.scores import NgramScores, fit_ngram_scores, id_matrix, sum_scores
from sentiment.text.sequences import Examples, Sequences
from tests.support.ngram_reviews import VOCAB_SIZE

LABELS = (np.arange(400) % 3 > 0).astype(np.int8)
ALL_USABLE = np.ones((FOLDS + 1, VOCAB_SIZE), np.bool_)
NO_PREDICTIONS = np.empty((FOLDS + 1, 0), np.float32)


def make_examples(texts: list[list[int]], labels: NDArray[np.int8]) -> Examples:
    return Examples(Sequences.from_lists(texts), labels, np.arange(len(labels), dtype=np.uint64))


def make_training(labels: NDArray[np.int8] = LABELS) -> Examples:
    """Three words per review: 2 marks a positive one, 3 a negative one."""
    generator = np.random.default_rng(0)
    return make_examples([[2 if y else 3, *generator.integers(4, 9, 2).tolist()] for y in LABELS], labels)


def fit(
    training: Examples,
    unlabeled: Examples | None = None,
    predictions: NDArray[np.float32] = NO_PREDICTIONS,
    usable: NDArray[np.bool_] = ALL_USABLE,
    pseudo_count: int = 0,
) -> NgramScores:
    model = CrossFittedNBSVM.fit(training, VOCAB_SIZE)
    unlabeled = unlabeled or Examples.empty()
    return fit_ngram_scores(model, training.sequences, unlabeled, predictions, usable, pseudo_count)


def test_sign_of_score_is_the_class() -> None:
    scores = fit(make_training()).scores
    assert (scores[:, 2] > 0.5).all()
    assert (scores[:, 3] < -0.5).all()
    assert (np.abs(scores[:, 4:9]) < 0.3).all()


def test_rms_over_tokens_is_one() -> None:
    training = make_training()
    scores = fit(training).scores[FOLDS]
    assert np.isclose(np.square(scores[training.sequences.ids]).mean(), 1, atol=1e-5)


def test_fitted_line_separates_the_classes() -> None:
    training = make_training()
    fitted = fit(training)
    means = sum_scores(id_matrix(training.sequences, VOCAB_SIZE), fitted.scores, fitted.fold)
    logits = fitted.slope * means / training.sequences.lengths + fitted.intercept
    assert ((logits > 0) == (training.labels == 1)).all()


def test_score_ignores_the_reviews_label() -> None:
    labels = LABELS.copy()
    labels[7] = 1 - labels[7]
    before, after = fit(make_training()), fit(make_training(labels))
    fold = before.fold[7]
    # Equal except for the common scale.
    ratio = after.scores[fold, 2:9] / before.scores[fold, 2:9]
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-4)


def test_unusable_token_scores_zero() -> None:
    usable = ALL_USABLE.copy()
    usable[1, 2] = False
    scores = fit(make_training(), usable=usable).scores
    assert scores[1, 2] == 0
    assert (scores[[0, 2, 3, 4], 2] > 0.5).all()


@pytest.mark.parametrize("text", [[2, 3], [2]])
def test_uninformative_tokens_score_zero(text: list[int]) -> None:
    fitted = fit(make_examples([text] * 400, (np.arange(400) % 2).astype(np.int8)))
    assert np.abs(fitted.scores).max() < 1e-3
    assert np.isfinite([fitted.slope, fitted.intercept]).all()


def test_unlabeled_reviews_count_by_prediction() -> None:
    # The word 20 occurs in unlabeled reviews only; the models disagree about it.
    unlabeled = make_examples([[20, 5], [21, 5]] * 40, np.full(80, -1, np.int8))
    predictions = np.full((FOLDS + 1, 80), 0.5, np.float32)
    predictions[0, ::2], predictions[1, ::2] = 0.95, 0.05
    fitted = fit(make_training(), unlabeled, predictions)
    assert fitted.scores[0, 20] > 0.1
    assert fitted.scores[1, 20] < -0.1
    assert abs(fitted.scores[2, 20]) < 0.05
    assert len(fitted.fold) == len(LABELS) + 80
    assert set(fitted.fold[-80:]) == set(range(FOLDS))


def test_score_ignores_the_reviews_prediction() -> None:
    unlabeled = make_examples([[20, 5], [21, 5]], np.full(2, -1, np.int8))
    predictions = np.full((FOLDS + 1, 2), 0.5, np.float32)
    before = fit(make_training(), unlabeled, predictions)
    predictions[:, 0] = 0.99
    after = fit(make_training(), unlabeled, predictions)
    fold = before.fold[-2]
    assert after.scores[fold, 20] == before.scores[fold, 20] == 0
    assert after.scores[(fold + 1) % FOLDS, 20] > 0


def test_id_matrix_marks_each_id_once() -> None:
    matrix = id_matrix(Sequences.from_lists([[2, 2, 4], [], [3]]), 5)
    assert matrix.toarray().tolist() == [[0, 0, 1, 0, 1], [0, 0, 0, 0, 0], [0, 0, 0, 1, 0]]


def test_sum_uses_distinct_tokens_and_fold() -> None:
    scores = np.arange(12, dtype=np.float32).reshape(2, 6)
    matrix = id_matrix(Sequences.from_lists([[2, 4, 2], [], [3]]), 6)
    assert sum_scores(matrix, scores, np.array([1, 0, 0])).tolist() == [18.0, 0.0, 3.0]


def test_pseudo_count_rescales_the_slope() -> None:
    # Some labels are wrong, or the slope would be unbounded.
    training = make_training(np.where(np.arange(400) % 7, LABELS, 1 - LABELS).astype(np.int8))
    mean, smoothed = (fit(training, pseudo_count=count) for count in (0, 9))
    # Every review has three words, so the smoothed mean is a quarter of the mean.
    assert smoothed.slope == pytest.approx(mean.slope * 4, rel=1e-3)
    assert smoothed.intercept == pytest.approx(mean.intercept, rel=1e-3)
