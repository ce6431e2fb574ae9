"""Logistic regression on which n-grams a review has, with targets that need not be certain.

scikit-learn's takes classes only; of a target in between it would have to read the review twice.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.optimize import minimize

from sentiment.evaluation.metrics import sigmoid

_ITERATIONS = 200
_SMALLEST_GRADIENT = 1e-4  # of the mean loss, in nats; as scikit-learn has it


def fit(
    matrix: sparse.csr_array, targets: NDArray[np.float32], factors: NDArray[np.float32], strength: float
) -> tuple[NDArray[np.float32], np.float32]:
    """Coefficients and intercept of the logit that minimizes the log loss, with an L2 penalty.

    Args:
        matrix: [reviews, n-grams] float32.
        targets: [reviews] probabilities of "positive".
        factors: [n-grams], of the columns before the penalty; where 0, an n-gram has no part.
        strength: inverse strength of the penalty, scikit-learn's C: of the sum of losses beside half the
            square of the coefficients of the weighted columns.

    Returns:
        [n-grams] of the columns as they are, and the intercept.
    """
    transposed = matrix.T
    share = 1 / (strength * len(targets))

    def loss(solution: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        weights, intercept = solution[:-1], solution[-1]
        # In the matrix's own precision, or all of it would be copied.
        logits = matrix @ (weights * factors).astype(np.float32) + np.float32(intercept)
        errors = (sigmoid(logits) - targets).astype(np.float32)
        gradient = np.empty_like(solution)
        gradient[:-1] = factors * (transposed @ errors) / len(targets) + share * weights
        gradient[-1] = errors.mean()
        losses = np.logaddexp(0, logits) - targets * logits
        return float(losses.mean(dtype=np.float64) + share / 2 * weights @ weights), gradient

    options = {"maxiter": _ITERATIONS, "gtol": _SMALLEST_GRADIENT, "ftol": 0}
    solution = minimize(loss, np.zeros(len(factors) + 1), jac=True, method="L-BFGS-B", options=options).x
    return (solution[:-1] * factors).astype(np.float32), np.float32(solution[-1])
