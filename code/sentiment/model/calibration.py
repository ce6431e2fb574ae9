"""Probabilities that can be believed: one factor for all logits, fitted to reviews that were held out.

Guo, Pleiss, Sun and Weinberger, ICML 2017, section 4.2. It changes no prediction, only how sure it is.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from torch import Tensor

from sentiment.evaluation.metrics import Labels, log_loss

# Few reviews that all are told right, or wrong, would ask for none at all, or for any.
LOWEST, HIGHEST = 0.5, 5.0


def temperature(logits: NDArray[np.float32], labels: Labels) -> np.float32:
    """What to divide logits by so that their log loss is least.

    Args:
        logits: [reviews].
        labels: [reviews], 1 for positive, 0 for negative.

    Returns:
        From ``LOWEST`` to ``HIGHEST``.
    """
    found = minimize_scalar(
        lambda exponent: log_loss(logits / np.exp(exponent), labels),
        bounds=(np.log(LOWEST), np.log(HIGHEST)),
        method="bounded",
        options={"xatol": 1e-8},  # so that jobs that differ by rounding give the same probabilities
    )
    return np.float32(np.exp(found.x))


def calibrated(weights: Mapping[str, Tensor], by: np.float32) -> dict[str, NDArray[np.float32]]:
    """A network's weights, by name, such that its logits are divided by a temperature."""
    found = {name: tensor.numpy() for name, tensor in weights.items()}
    return found | {name: tensor / by for name, tensor in found.items() if name.startswith("linear.")}
