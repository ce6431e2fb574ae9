"""Temperature scaling: one factor for all logits, fitted to held-out reviews.

Guo, Pleiss, Sun and Weinberger, ICML 2017, section 4.2. It changes confidence, not the predicted class.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from torch import Tensor

from sentiment.evaluation.metrics import Labels, log_loss

# Without bounds, a few reviews that are all classified correctly, or all wrongly, have no finite optimum.
MIN_TEMPERATURE, MAX_TEMPERATURE = 0.5, 5.0


class CalibratedModel(NamedTuple):
    """Weights by name and [reviews] validation logits, after the division by ``temperature``."""

    weights: dict[str, NDArray[np.float32]]
    logits: NDArray[np.float32]
    temperature: float


def fit_temperature(logits: NDArray[np.float32], labels: Labels) -> np.float32:
    """The divisor of [reviews] logits that minimizes their log loss, within the bounds."""
    minimum = minimize_scalar(
        lambda exponent: log_loss(logits / np.exp(exponent), labels),
        bounds=(np.log(MIN_TEMPERATURE), np.log(MAX_TEMPERATURE)),
        method="bounded",
        options={"xatol": 1e-8},  # so that jobs that differ by rounding get the same probabilities
    )
    return np.float32(np.exp(minimum.x))


def calibrate(weights: Mapping[str, Tensor], logits: NDArray[np.float32], labels: Labels) -> CalibratedModel:
    """Fit the temperature to [reviews] validation logits and build it into the linear layer."""
    temperature = fit_temperature(logits, labels)
    arrays = {name: tensor.to("cpu", copy=True).numpy() for name, tensor in weights.items()}
    for name in ("linear.weight", "linear.bias"):
        arrays[name] /= temperature
    return CalibratedModel(arrays, logits / temperature, float(temperature))
