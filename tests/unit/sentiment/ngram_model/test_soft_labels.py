"""Soft labels and training targets."""

import numpy as np
import pytest
from numpy.typing import NDArray

from sentiment.ngram_model.cross_fit import FOLDS, CrossFittedNBSVM
from sentiment.ngram_model.soft_labels import SoftLabels
from sentiment.text.sequences import Sequences
from tests.support.ngram_reviews import TRAINING, VOCAB_SIZE, examples

MODEL = CrossFittedNBSVM.fit(TRAINING, VOCAB_SIZE)
LABELS = TRAINING.labels
LABELED_ONLY = SoftLabels.predict(MODEL, Sequences.from_lists([]))
UNDECIDED = SoftLabels(np.full(400, 0.5, np.float32), np.full((FOLDS + 1, 100), 0.5, np.float32))


def make_vectors(labels: NDArray[np.int8]) -> NDArray[np.float32]:
    """Two dimensions, the first of which depends on the class."""
    vectors = np.random.default_rng(1).normal(size=(len(labels), 2))
    vectors[:, 0] += 4.0 * labels - 2
    return vectors.astype(np.float32)


@pytest.mark.parametrize("weight", [0.0, 0.25, 1.0])
def test_target_mixes_label_and_prediction(weight: float) -> None:
    expected = weight * MODEL.predict_out_of_fold() + (1 - weight) * LABELS
    np.testing.assert_allclose(LABELED_ONLY.targets(LABELS, weight), expected, atol=1e-6)


def test_unlabeled_targets_use_final_model() -> None:
    unlabeled = examples(100)
    soft_labels = SoftLabels.predict(MODEL, unlabeled.sequences)
    targets = soft_labels.targets(LABELS, 0.5)[len(LABELS) :]
    assert targets.tolist() == soft_labels.unlabeled[FOLDS].tolist()
    assert ((targets > 0.5) == (unlabeled.labels == 1)).mean() > 0.95


def test_empty_review_has_a_target() -> None:
    soft_labels = SoftLabels.predict(MODEL, Sequences.from_lists([[], [2]]))
    assert len(soft_labels.targets(LABELS, 1)) == len(LABELS) + 2


def test_refine_uses_informative_vectors() -> None:
    unlabeled = np.arange(100, dtype=np.int8) % 2
    refined = UNDECIDED.refine(make_vectors(np.concatenate([LABELS, unlabeled])), MODEL)
    # Some folds hold one class only, so their regressions expect the other one.
    assert ((refined.labeled > 0.5) == (LABELS == 1)).mean() > 0.65
    assert (((refined.unlabeled > 0.5) == (unlabeled == 1)).mean(1) > 0.65).all()
    assert ((refined.unlabeled[FOLDS] > 0.5) == (unlabeled == 1)).mean() > 0.75


def test_refine_ignores_uninformative_vectors() -> None:
    noise = np.random.default_rng(1).normal(size=(400, 2)).astype(np.float32)
    refined = LABELED_ONLY.refine(noise, MODEL)
    assert np.corrcoef(refined.labeled, LABELED_ONLY.labeled)[0, 1] > 0.95
    assert refined.unlabeled.shape == (FOLDS + 1, 0)


def test_refined_label_ignores_the_reviews_label() -> None:
    labels = LABELS.copy()
    labels[7] = 1 - labels[7]
    before = UNDECIDED.refine(make_vectors(LABELS), MODEL)
    after = UNDECIDED.refine(make_vectors(LABELS), MODEL._replace(labels=labels))
    assert after.labeled[7] == pytest.approx(before.labeled[7], abs=1e-6)
    assert after.labeled[8] != before.labeled[8]
