"""Metrics compared with scikit-learn's and with hand-computed values."""

import numpy as np
import pytest
from sklearn import metrics as reference

from sentiment.evaluation.metrics import (
    calibration_error,
    evaluate_logits,
    log_loss,
    roc_auc,
    sigmoid,
)

GENERATOR = np.random.default_rng(0)
LABELS = GENERATOR.integers(0, 2, 500).astype(np.int8)
LOGITS = np.round(GENERATOR.normal(LABELS - 0.5, 2), 1).astype(np.float32)  # rounded: with ties


def test_metrics_equal_scikit_learn() -> None:
    metrics = evaluate_logits(LOGITS, LABELS)
    predicted = LOGITS > 0
    assert metrics.accuracy == pytest.approx(reference.accuracy_score(LABELS, predicted))
    assert metrics.f1 == pytest.approx(reference.f1_score(LABELS, predicted))
    assert metrics.roc_auc == pytest.approx(reference.roc_auc_score(LABELS, LOGITS))
    assert metrics.log_loss == pytest.approx(reference.log_loss(LABELS, sigmoid(LOGITS)))


def test_confusion_matrix_counts_reviews() -> None:
    logits, labels = np.array([-1, -1, -1, 2, 2, 2], np.float32), np.array([0, 0, 1, 0, 1, 1], np.int8)
    metrics = evaluate_logits(np.append(logits, 2).astype(np.float32), np.append(labels, 1).astype(np.int8))
    assert (metrics.true_negatives, metrics.false_positives) == (2, 1)
    assert (metrics.false_negatives, metrics.true_positives) == (1, 3)


def test_calibration_error_of_four_reviews() -> None:
    probabilities = np.array([0.01, 0.02, 0.97, 0.99])
    labels = np.array([0, 1, 1, 1], np.int8)
    assert calibration_error(probabilities, labels) == pytest.approx((0.97 + 0.04) / 4)


def test_probability_1_is_in_last_bin() -> None:
    assert calibration_error(np.array([1.0]), np.array([1], np.int8)) == 0


def test_log_loss_is_finite() -> None:
    assert log_loss(np.array([1e4], np.float32), np.array([0], np.int8)) == pytest.approx(1e4)


def test_sigmoid_does_not_overflow() -> None:
    assert sigmoid(np.array([-1e5, 0, 1e5], np.float32)).tolist() == [0, 0.5, 1]


def test_roc_auc_needs_two_classes() -> None:
    assert np.isnan(roc_auc(LOGITS, np.ones(500, np.int8)))


def test_f1_without_positives_is_0() -> None:
    assert evaluate_logits(np.array([-1], np.float32), np.array([0], np.int8)).f1 == 0
