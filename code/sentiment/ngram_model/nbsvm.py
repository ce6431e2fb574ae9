"""NBSVM: logistic regression on n-grams weighted by naive-Bayes log-count ratios.

Wang and Manning, ACL 2012, section 2.3, with targets that may be probabilities. scikit-learn's logistic
regression takes classes only; a probability would need every review twice.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.optimize import minimize

from sentiment.evaluation.metrics import sigmoid

_MAX_ITERATIONS = 200
_GRADIENT_TOLERANCE = 1e-4  # of the mean loss, in nats; scikit-learn's default


class NBSVM(NamedTuple):
    """A fitted model."""

    coefficients: NDArray[np.float32]  # [n-grams], of the logit
    intercept: np.float32  # of the logit

    @classmethod
    def fit(
        cls,
        matrix: sparse.csr_array,
        targets: NDArray[np.float32],
        c: float = 1.0,
        usable: NDArray[np.bool_] | None = None,
    ) -> "NBSVM":
        """Fit a model to [reviews, n-grams] features and [reviews] probabilities of "positive".

        ``c`` is the inverse strength of the L2 penalty; ``usable`` [n-grams] restricts the features.
        """
        positive, negative = (matrix.T @ weights + 1.0 for weights in (targets, 1 - targets))
        ratios = np.log(positive / positive.sum()) - np.log(negative / negative.sum())
        if usable is not None:
            ratios *= usable
        return cls(*fit_logistic_regression(matrix, targets, ratios.astype(np.float32), c))

    def predict_proba(self, matrix: sparse.csr_array) -> NDArray[np.float32]:
        """[reviews] probabilities of "positive"."""
        return sigmoid(matrix @ self.coefficients + self.intercept).astype(np.float32)


def fit_logistic_regression(
    matrix: sparse.csr_array, targets: NDArray[np.float32], factors: NDArray[np.float32], c: float
) -> tuple[NDArray[np.float32], np.float32]:
    """Minimize the log loss plus an L2 penalty of inverse strength ``c``, as in scikit-learn.

    ``factors`` [n-grams] scale the columns before the penalty; 0 excludes a column. Returns the [n-grams]
    coefficients of the unscaled columns, and the intercept.
    """
    transposed = matrix.T
    penalty = 1 / (c * len(targets))

    def loss(solution: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        weights, intercept = solution[:-1], solution[-1]
        # In float32, or scipy would copy the matrix.
        logits = matrix @ (weights * factors).astype(np.float32) + np.float32(intercept)
        errors = (sigmoid(logits) - targets).astype(np.float32)
        gradient = np.empty_like(solution)
        gradient[:-1] = factors * (transposed @ errors) / len(targets) + penalty * weights
        gradient[-1] = errors.mean()
        losses = np.logaddexp(0, logits) - targets * logits
        return float(losses.mean(dtype=np.float64) + penalty / 2 * weights @ weights), gradient

    options = {"maxiter": _MAX_ITERATIONS, "gtol": _GRADIENT_TOLERANCE, "ftol": 0}
    solution = minimize(loss, np.zeros(len(factors) + 1), jac=True, method="L-BFGS-B", options=options).x
    return (solution[:-1] * factors).astype(np.float32), np.float32(solution[-1])
