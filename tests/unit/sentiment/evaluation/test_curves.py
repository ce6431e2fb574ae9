"""Groups of reviews in the report's plots."""

import numpy as np
import pytest

from sentiment.evaluation.curves import accuracy_by_length, reliability
from sentiment.evaluation.metrics import calibration_error, sigmoid

GENERATOR = np.random.default_rng(0)
LABELS = GENERATOR.integers(0, 2, 500).astype(np.int8)
LOGITS = np.round(GENERATOR.normal(LABELS - 0.5, 2), 1).astype(np.float32)  # rounded: with ties
PROBABILITIES = sigmoid(LOGITS)


def test_reliability_sums_to_calibration_error() -> None:
    groups = reliability(PROBABILITIES, LABELS)
    gaps = np.abs(groups.rate - groups.x) * groups.reviews
    assert gaps.sum() / 500 == pytest.approx(calibration_error(PROBABILITIES, LABELS))


def test_reliability_omits_empty_bins() -> None:
    groups = reliability(np.array([0.01, 0.02, 0.99]), np.array([0, 1, 1], np.int8))
    assert groups.reviews.tolist() == [2, 1]
    assert groups.rate.tolist() == [0.5, 1]


def test_length_groups_are_equal() -> None:
    lengths = np.arange(800)
    groups = accuracy_by_length(lengths, lengths >= 400)
    assert groups.reviews.tolist() == [100] * 8
    assert groups.rate[0] == 0
    assert groups.rate[-1] == 1


def test_equal_lengths_form_one_group() -> None:
    groups = accuracy_by_length(np.full(40, 500), np.arange(40) < 30)
    assert groups.x.tolist() == [500]
    assert groups.rate.tolist() == [0.75]
    assert groups.error == pytest.approx([np.sqrt(0.75 * 0.25 / 40)])
