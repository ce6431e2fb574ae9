"""The temperature of the probabilities."""

import numpy as np
import pytest
import torch

from sentiment.evaluation.metrics import calibration_error, log_loss, sigmoid
from sentiment.model.calibration import HIGHEST, LOWEST, calibrated, temperature

GENERATOR = np.random.default_rng(1)
TRUE_LOGITS = GENERATOR.normal(0, 2, 20_000).astype(np.float32)
LABELS = (GENERATOR.random(20_000) < sigmoid(TRUE_LOGITS)).astype(np.int8)


@pytest.mark.parametrize("factor", [0.6, 1.0, 4.0])
def test_exaggeration_is_found(factor: float) -> None:
    assert temperature(TRUE_LOGITS * np.float32(factor), LABELS) == pytest.approx(factor, rel=0.05)


def test_probabilities_become_true_on_other_reviews() -> None:
    logits = 3 * TRUE_LOGITS
    by = temperature(logits[:10_000], LABELS[:10_000])
    before = calibration_error(sigmoid(logits[10_000:]), LABELS[10_000:])
    after = calibration_error(sigmoid(logits[10_000:] / by), LABELS[10_000:])
    assert before > 0.05
    assert after < 0.02


def test_no_other_temperature_gives_less_loss() -> None:
    logits = 3 * TRUE_LOGITS
    by = temperature(logits, LABELS)
    losses = [log_loss(logits / (by * np.float32(factor)), LABELS) for factor in (0.9, 1, 1.1)]
    assert min(losses) == losses[1]


@pytest.mark.parametrize(("sign", "limit"), [(1, LOWEST), (-1, HIGHEST)])
def test_it_stays_within_limits(sign: int, limit: float) -> None:
    labels = np.array([1, 0, 1], np.int8)
    logits = np.array([sign, -sign, sign], np.float32)
    assert temperature(logits, labels) == pytest.approx(limit, rel=0.01)


def test_only_the_linear_layer_is_divided() -> None:
    weights = {"linear.weight": torch.ones(2), "linear.bias": torch.ones(1), "lstm.bias_hh_l0": torch.ones(1)}
    found = calibrated(weights, np.float32(2))
    assert {name: array.tolist() for name, array in found.items()} == {
        "linear.weight": [0.5, 0.5],
        "linear.bias": [0.5],
        "lstm.bias_hh_l0": [1.0],
    }
