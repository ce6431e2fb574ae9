"""Temperature scaling."""

import numpy as np
import pytest
import torch

from sentiment.evaluation.metrics import calibration_error, log_loss, sigmoid
from sentiment.model.calibration import MAX_TEMPERATURE, MIN_TEMPERATURE, calibrate, fit_temperature

GENERATOR = np.random.default_rng(1)
TRUE_LOGITS = GENERATOR.normal(0, 2, 20_000).astype(np.float32)
LABELS = (GENERATOR.random(20_000) < sigmoid(TRUE_LOGITS)).astype(np.int8)


@pytest.mark.parametrize("factor", [0.6, 1.0, 4.0])
def test_temperature_equals_scale_of_logits(factor: float) -> None:
    assert fit_temperature(TRUE_LOGITS * np.float32(factor), LABELS) == pytest.approx(factor, rel=0.05)


def test_temperature_lowers_calibration_error() -> None:
    logits = 3 * TRUE_LOGITS
    temperature = fit_temperature(logits[:10_000], LABELS[:10_000])
    before = calibration_error(sigmoid(logits[10_000:]), LABELS[10_000:])
    after = calibration_error(sigmoid(logits[10_000:] / temperature), LABELS[10_000:])
    assert before > 0.05
    assert after < 0.02


def test_temperature_minimizes_log_loss() -> None:
    logits = 3 * TRUE_LOGITS
    temperature = fit_temperature(logits, LABELS)
    losses = [log_loss(logits / (temperature * np.float32(factor)), LABELS) for factor in (0.9, 1, 1.1)]
    assert min(losses) == losses[1]


@pytest.mark.parametrize(("sign", "limit"), [(1, MIN_TEMPERATURE), (-1, MAX_TEMPERATURE)])
def test_temperature_stays_within_bounds(sign: int, limit: float) -> None:
    labels = np.array([1, 0, 1], np.int8)
    logits = np.array([sign, -sign, sign], np.float32)
    assert fit_temperature(logits, labels) == pytest.approx(limit, rel=0.01)


def test_calibrate_divides_linear_layer_and_logits() -> None:
    weights = {"linear.weight": torch.ones(2), "linear.bias": torch.ones(1), "lstm.bias_hh_l0": torch.ones(1)}
    model = calibrate(weights, 3 * TRUE_LOGITS, LABELS)
    divided = 1 / np.float32(model.temperature)
    assert model.temperature == pytest.approx(3, rel=0.05)
    assert model.weights["linear.weight"].tolist() == [divided, divided]
    assert model.weights["linear.bias"].tolist() == [divided]
    assert model.weights["lstm.bias_hh_l0"].tolist() == [1.0]
    np.testing.assert_allclose(model.logits, 3 * TRUE_LOGITS * divided, rtol=1e-6)
    assert weights["linear.bias"].tolist() == [1.0]
