"""NBSVM and its logistic regression with soft targets."""

import numpy as np
from scipy import sparse
from sklearn.linear_model import LogisticRegression

from sentiment.ngram_model.features import NgramFeatures
from sentiment.ngram_model.nbsvm import NBSVM, fit_logistic_regression
from tests.support.ngram_reviews import TRAINING, VOCAB_SIZE

FEATURES = NgramFeatures.fit(TRAINING.sequences, VOCAB_SIZE, 2).transform(TRAINING.sequences)
LABELS = TRAINING.labels.astype(np.float32)

GENERATOR = np.random.default_rng(0)
MATRIX = sparse.csr_array((GENERATOR.random((300, 20)) < 0.3).astype(np.float32))
TARGETS = GENERATOR.random(300).astype(np.float32)
FACTORS = GENERATOR.normal(size=20).astype(np.float32)


def test_unusable_ngrams_have_zero_coefficients() -> None:
    usable = np.arange(FEATURES.shape[1]) % 2 == 0
    model = NBSVM.fit(FEATURES, LABELS, usable=usable)
    assert (model.coefficients[~usable] == 0).all()
    assert (model.coefficients[usable] != 0).any()


def test_probabilities_match_the_paper() -> None:
    """Wang and Manning's formula, with scikit-learn's regression."""
    positive, negative = (FEATURES[TRAINING.labels == label].sum(0) + 1 for label in (1, 0))
    ratios = np.log((positive / positive.sum()) / (negative / negative.sum()))
    weighted = FEATURES.multiply(ratios)
    expected = LogisticRegression(max_iter=1_000, tol=1e-8).fit(weighted, TRAINING.labels)
    actual = NBSVM.fit(FEATURES, LABELS).predict_proba(FEATURES)
    np.testing.assert_allclose(actual, expected.predict_proba(weighted)[:, 1], atol=2e-3)


def test_soft_targets_equal_weighted_duplicates() -> None:
    weighted = MATRIX.toarray() * FACTORS
    twice, labels = np.concatenate([weighted, weighted]), np.repeat([1, 0], 300)
    weights = np.concatenate([TARGETS, 1 - TARGETS])
    expected = LogisticRegression(C=0.5, max_iter=10_000, tol=1e-8).fit(twice, labels, weights)
    coefficients, intercept = fit_logistic_regression(MATRIX, TARGETS, FACTORS, 0.5)
    np.testing.assert_allclose(coefficients, expected.coef_[0] * FACTORS, atol=2e-3)
    np.testing.assert_allclose(intercept, expected.intercept_[0], atol=2e-3)


def test_zero_factor_excludes_a_column() -> None:
    factors = np.where(np.arange(20) == 3, 0, FACTORS).astype(np.float32)
    coefficients, _ = fit_logistic_regression(MATRIX, TARGETS, factors, 0.5)
    assert coefficients[3] == 0
    assert (np.delete(coefficients, 3) != 0).all()


def test_weaker_penalty_gives_larger_coefficients() -> None:
    weak, strong = (np.abs(fit_logistic_regression(MATRIX, TARGETS, FACTORS, c)[0]).sum() for c in (10, 0.01))
    assert weak > strong
