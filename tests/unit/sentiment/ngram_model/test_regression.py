"""Logistic regression with targets in between."""

import numpy as np
from scipy import sparse
from sklearn.linear_model import LogisticRegression

from sentiment.ngram_model.regression import fit

GENERATOR = np.random.default_rng(0)
MATRIX = sparse.csr_array((GENERATOR.random((300, 20)) < 0.3).astype(np.float32))
TARGETS = GENERATOR.random(300).astype(np.float32)
FACTORS = GENERATOR.normal(size=20).astype(np.float32)


def test_it_is_a_regression_on_each_review_twice_with_shares_as_weights() -> None:
    weighted = MATRIX.toarray() * FACTORS
    twice, labels = np.concatenate([weighted, weighted]), np.repeat([1, 0], 300)
    weights = np.concatenate([TARGETS, 1 - TARGETS])
    expected = LogisticRegression(C=0.5, max_iter=10_000, tol=1e-8).fit(twice, labels, weights)
    coefficients, intercept = fit(MATRIX, TARGETS, FACTORS, 0.5)
    np.testing.assert_allclose(coefficients, expected.coef_[0] * FACTORS, atol=2e-3)
    np.testing.assert_allclose(intercept, expected.intercept_[0], atol=2e-3)


def test_ngram_with_a_factor_of_zero_has_no_part() -> None:
    coefficients, _ = fit(MATRIX, TARGETS, np.where(np.arange(20) == 3, 0, FACTORS).astype(np.float32), 0.5)
    assert coefficients[3] == 0
    assert (np.delete(coefficients, 3) != 0).all()


def test_weaker_penalty_leaves_larger_coefficients() -> None:
    weak, strong = (np.abs(fit(MATRIX, TARGETS, FACTORS, strength)[0]).sum() for strength in (10, 0.01))
    assert weak > strong
