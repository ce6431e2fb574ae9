"""The weighted sum of the models' logits."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from sentiment.evaluation.metrics import Labels, calibration_error, log_loss, sigmoid
from sentiment.model.weighted_sum import Logits, cross_fitted_sum, fit_weights, weighted_sum

WEIGHTS = np.array([0.8, 0.5, -0.3])


def generate(count: int, weights: np.ndarray = WEIGHTS) -> tuple[Logits, Labels]:
    """Independent logits, and labels whose log odds are their weighted sum."""
    generator = np.random.default_rng(1)
    logits = generator.normal(0, 2, (len(weights) - 1, count)).astype(np.float32)
    labels = generator.random(count) < sigmoid(weighted_sum(logits, weights))
    return logits, labels.astype(np.int8)


LOGITS, LABELS = generate(20_000)


def test_fit_recovers_the_weights() -> None:
    # The standard errors of the three estimates are 0.012, 0.011 and 0.018.
    np.testing.assert_allclose(fit_weights(LOGITS, LABELS), WEIGHTS, atol=0.06)


def test_fit_equals_logistic_regression() -> None:
    """Without the penalty, whose influence vanishes with the number of reviews."""
    regression = LogisticRegression(C=np.inf, tol=1e-8).fit(LOGITS.T, LABELS)
    expected = [*regression.coef_[0], regression.intercept_[0]]
    np.testing.assert_allclose(fit_weights(LOGITS, LABELS), expected, atol=1e-3)


@pytest.mark.parametrize("factor", [0.6, 1.0, 4.0])
def test_single_model_is_calibrated(factor: float) -> None:
    logits, labels = generate(20_000, np.array([1.0, 0.0]))
    weight, intercept = fit_weights(logits * np.float32(factor), labels)
    assert weight == pytest.approx(1 / factor, rel=0.05)
    assert intercept == pytest.approx(0, abs=0.06)


def test_fit_lowers_calibration_error() -> None:
    logits, labels = generate(20_000, np.array([0.3, 0.5]))
    weights = fit_weights(logits[:, :10_000], labels[:10_000])
    before = calibration_error(sigmoid(logits[0, 10_000:]), labels[10_000:])
    after = calibration_error(sigmoid(weighted_sum(logits[:, 10_000:], weights)), labels[10_000:])
    assert before > 0.05
    assert after < 0.02


def test_fit_minimizes_log_loss() -> None:
    weights = fit_weights(LOGITS, LABELS)
    lowest = log_loss(weighted_sum(LOGITS, weights), LABELS)
    for change in 0.1 * np.concatenate([np.eye(3), -np.eye(3)]):
        assert log_loss(weighted_sum(LOGITS, weights + change), LABELS) > lowest


@pytest.mark.parametrize("scale", [1, 1_000])
def test_separable_reviews_have_finite_weights(scale: float) -> None:
    labels = np.array([1, 0, 1, 0], np.int8)
    logits = scale * np.where(labels, 1.0, [[-1.0], [-2.0]]).astype(np.float32)
    weights = fit_weights(logits, labels)
    assert np.isfinite(weights).all()
    assert ((weighted_sum(logits, weights) > 0) == labels).all()


@pytest.mark.parametrize("label", [0, 1])
def test_single_class_gives_equal_weights(label: int) -> None:
    weights = fit_weights(LOGITS, np.full_like(LABELS, label))
    assert weights.tolist() == [0.5, 0.5, 0]


@pytest.mark.parametrize("models", [1, 2])
def test_no_reviews_give_equal_weights(models: int) -> None:
    weights = fit_weights(np.empty((models, 0), np.float32), np.empty(0, np.int8))
    assert weights.tolist() == [*([1 / models] * models), 0]


def test_sum_weighs_logits_and_intercept() -> None:
    logits = np.array([[1, 2], [10, 20]], np.float32)
    assert weighted_sum(logits, np.array([2.0, 0.5, -1.0])).tolist() == [6, 13]


def test_halves_use_each_others_weights() -> None:
    groups = np.arange(2_000, dtype=np.uint64)
    sums = cross_fitted_sum(LOGITS[:, :2_000], LABELS[:2_000], groups)
    even, odd = LOGITS[:, :2_000:2], LOGITS[:, 1:2_000:2]
    expected = weighted_sum(even, fit_weights(odd, LABELS[1:2_000:2]))
    assert np.array_equal(sums[::2], expected)
    assert not np.allclose(sums[::2], weighted_sum(even, fit_weights(even, LABELS[:2_000:2])), atol=1e-3)


def test_labels_change_other_half_only() -> None:
    groups, labels = np.arange(200, dtype=np.uint64), LABELS[:200].copy()
    before = cross_fitted_sum(LOGITS[:, :200], labels, groups)
    labels[::2] = 1 - labels[::2]
    after = cross_fitted_sum(LOGITS[:, :200], labels, groups)
    assert np.array_equal(before[::2], after[::2])
    assert not np.isclose(before[1::2], after[1::2]).any()


def test_group_stays_in_one_half() -> None:
    """Labels of a review's group leave its sum unchanged."""
    groups, labels = np.repeat(np.arange(40, dtype=np.uint64), 5), LABELS[:200].copy()
    before = cross_fitted_sum(LOGITS[:, :200], labels, groups)
    labels[groups == 7] = 1 - labels[groups == 7]
    after = cross_fitted_sum(LOGITS[:, :200], labels, groups)
    assert np.array_equal(before[groups == 7], after[groups == 7])
    assert not np.array_equal(before[groups == 8], after[groups == 8])


@pytest.mark.parametrize("count", [0, 1, 2])
def test_few_reviews_can_be_summed(count: int) -> None:
    sums = cross_fitted_sum(LOGITS[:, :count], LABELS[:count], np.full(count, 4, np.uint64))
    np.testing.assert_allclose(sums, LOGITS[:, :count].mean(0), rtol=1e-6)


def test_contradicted_model_keeps_positive_weight() -> None:
    weights = fit_weights(np.stack([LOGITS[0], -LOGITS[1]]), LABELS)
    assert weights[0] == pytest.approx(WEIGHTS[0], rel=0.2)
    assert 0 < weights[1] < 0.05
