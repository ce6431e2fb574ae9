"""Folds and out-of-fold predictions."""

import logging

import numpy as np
import pytest

from byoc.errors import DataError
from sentiment.ngram_model.cross_fit import FOLDS, CrossFittedNBSVM, assign_folds
from sentiment.text.sequences import Examples, Sequences
from tests.support.ngram_reviews import TRAINING, VOCAB_SIZE, examples

MODEL = CrossFittedNBSVM.fit(TRAINING, VOCAB_SIZE)


def make_examples(texts: list[list[int]], labels: list[int]) -> Examples:
    groups = np.arange(len(labels), dtype=np.uint64)
    return Examples(Sequences.from_lists(texts), np.array(labels, np.int8), groups)


def test_final_model_uses_word_order() -> None:
    unseen = examples(100)
    probabilities = MODEL.models[-1].predict_proba(MODEL.features.transform(unseen.sequences))
    assert ((probabilities > 0.5) == (unseen.labels == 1)).mean() > 0.95


def test_prediction_ignores_the_reviews_label() -> None:
    labels = TRAINING.labels.copy()
    labels[7] = 1 - labels[7]
    before = MODEL.predict_out_of_fold()
    after = CrossFittedNBSVM.fit(TRAINING._replace(labels=labels), VOCAB_SIZE).predict_out_of_fold()
    assert after[7] == pytest.approx(before[7], abs=1e-6)
    assert after[8] != before[8]


def test_groups_stay_within_a_fold() -> None:
    groups = np.array([5, 9, 5, 2, 9, 2], np.uint64)
    assert assign_folds(np.array([1, 0, 0, 1, 1, 0], np.int8), groups).tolist() == [1, 1, 1, 2, 1, 2]


def test_every_fold_has_reviews() -> None:
    assert set(MODEL.fold) == set(range(FOLDS))


def test_too_few_groups_fold_by_review() -> None:
    labels = np.array([1, 1, 1, 0, 0], np.int8)
    assert assign_folds(labels, np.zeros(5, np.uint64)).tolist() == [0, 1, 2, 0, 1]


def test_out_of_fold_accuracy_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="sentiment")
    CrossFittedNBSVM.fit(TRAINING, VOCAB_SIZE)
    assert "out-of-fold accuracy 1.0000" in caplog.text


def test_single_review_per_class_is_rejected() -> None:
    with pytest.raises(DataError, match="two reviews of each class"):
        CrossFittedNBSVM.fit(make_examples([[2], [2], [2]], [1, 1, 0]), VOCAB_SIZE)


def test_two_reviews_per_class_suffice() -> None:
    few = make_examples([[2], [2], [3], [3]], [1, 1, 0, 0])
    assert len(CrossFittedNBSVM.fit(few, VOCAB_SIZE).predict_out_of_fold()) == 4


@pytest.mark.parametrize("texts", [[[2], [3], [4], [5]], [[], [], [], []]])
def test_reviews_without_common_words_are_rejected(texts: list[list[int]]) -> None:
    with pytest.raises(DataError, match="no two reviews share a word"):
        CrossFittedNBSVM.fit(make_examples(texts, [1, 1, 0, 0]), VOCAB_SIZE)


def test_every_model_predicts_unlabeled_reviews() -> None:
    unlabeled = examples(1_500)  # more than one chunk
    probabilities = MODEL.predict_unlabeled(unlabeled.sequences)
    assert probabilities.shape == (FOLDS + 1, 1_500)
    assert (((probabilities > 0.5) == (unlabeled.labels == 1)).mean(1) > 0.95).all()
