"""The sum of n-gram model and LSTM: ``logit = a * ngram + b * lstm + c``, fitted to held-out reviews.

Without an n-gram model it is Platt scaling (Platt, Advances in Large Margin Classifiers, 1999): it changes
the confidence, and hardly any predicted class.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from sentiment.evaluation.metrics import Floats, Labels, log_loss, sigmoid

# Penalty on the distance to equal weights, in nats over all reviews: without it, a few reviews that are all
# classified correctly have no finite optimum.
_PENALTY = 1.0
# Held-out reviews that contradict the training reviews must not invert a model.
_MIN_WEIGHT = 0.01

Logits = NDArray[np.float32]  # [models, reviews], the n-gram model first


def fit_weights(logits: Logits, labels: Labels) -> Floats:
    """[models + 1] weights and intercept that minimize the log loss of the sum.

    Equal weights and no intercept with reviews of one class, which would move all reviews to that class.
    """
    columns = np.vstack([logits, np.ones(len(labels))]).astype(np.float64)
    start = np.append(np.full(len(logits), 1 / len(logits)), 0.0)
    if len(np.unique(labels)) < 2:
        return start

    def loss(weights: Floats) -> tuple[float, Floats]:
        sums: Floats = weights @ columns
        distance = weights - start
        total = len(labels) * log_loss(sums, labels)
        gradient = columns @ (sigmoid(sums) - labels) + _PENALTY * distance
        return float(total + _PENALTY / 2 * distance @ distance), gradient

    bounds = [(_MIN_WEIGHT, None)] * len(logits) + [(None, None)]
    # Tolerances that leave no trace of rounding errors in the probabilities.
    options = {"gtol": 1e-6, "ftol": 1e-15}
    return np.asarray(minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options).x)


def weighted_sum(logits: Logits, weights: Floats) -> NDArray[np.float32]:
    """[reviews] sums of [models, reviews] logits with [models + 1] weights and intercept."""
    sums: Floats = weights[:-1] @ logits + weights[-1]
    return sums.astype(np.float32)


def cross_fitted_sum(logits: Logits, labels: Labels, groups: NDArray[np.uint64]) -> NDArray[np.float32]:
    """[reviews] sums whose weights come from the other half of the reviews, split by group."""
    half = groups % np.uint64(2) == 0
    sums = np.empty(len(half), np.float32)
    for side in (half, ~half):
        sums[side] = weighted_sum(logits[:, side], fit_weights(logits[:, ~side], labels[~side]))
    return sums
