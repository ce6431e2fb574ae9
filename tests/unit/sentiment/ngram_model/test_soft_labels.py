"""What the network is to say of reviews, where teachers have a say."""

import numpy as np
import pytest

from sentiment.ngram_model.nbsvm import PARTS, Teachers
from sentiment.ngram_model.soft_labels import Told
from sentiment.text.sequences import Sequences
from tests.support.ngram_reviews import MOVIES, TRAINING, VOCAB_SIZE, examples

TEACHERS = Teachers.of(TRAINING, MOVIES, VOCAB_SIZE)
LABELS = TRAINING.labels
SINGLE_PROCESS = Told.by(TEACHERS, Sequences.from_lists([]))


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_target_lies_between_the_label_and_the_teachers_word(share: float) -> None:
    expected = share * TEACHERS.told() + (1 - share) * LABELS
    np.testing.assert_allclose(SINGLE_PROCESS.targets(LABELS, share), expected, atol=1e-6)


def test_unlabelled_reviews_come_behind_with_the_word_of_the_one_who_has_read_all() -> None:
    unlabeled = examples(100)
    told = Told.by(TEACHERS, unlabeled.sequences)
    targets = told.targets(LABELS, 0.5)[len(LABELS) :]
    assert targets.tolist() == told.others[PARTS].tolist()
    assert ((targets > 0.5) == (unlabeled.labels == 1)).mean() > 0.95


def test_review_without_a_word_is_judged_too() -> None:
    assert len(Told.by(TEACHERS, Sequences.from_lists([[], [2]])).targets(LABELS, 1)) == len(LABELS) + 2


def vectors(
    labels: np.ndarray[tuple[int], np.dtype[np.int8]],
) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    """Of two dimensions, of which the first tells the class."""
    noise = np.random.default_rng(1).normal(size=(len(labels), 2))
    noise[:, 0] += 4.0 * labels - 2
    return noise.astype(np.float32)


NOTHING = Told(np.full(400, 0.5, np.float32), np.full((PARTS + 1, 100), 0.5, np.float32))


def test_vectors_tell_what_teachers_do_not() -> None:
    unlabeled = np.arange(100, dtype=np.int8) % 2
    told = NOTHING.with_vectors(vectors(np.concatenate([LABELS, unlabeled])), TEACHERS)
    # 0.98 of them can be told; some parts are of one class, so that their teachers expect the other one.
    assert ((told.labelled > 0.5) == (LABELS == 1)).mean() > 0.65
    assert (((told.others > 0.5) == (unlabeled == 1)).mean(1) > 0.65).all()
    assert ((told.others[PARTS] > 0.5) == (unlabeled == 1)).mean() > 0.75


def test_vectors_that_tell_nothing_leave_the_teachers_word() -> None:
    noise = np.random.default_rng(1).normal(size=(400, 2)).astype(np.float32)
    told = SINGLE_PROCESS.with_vectors(noise, TEACHERS)
    assert np.corrcoef(told.labelled, SINGLE_PROCESS.labelled)[0, 1] > 0.95
    assert told.others.shape == (PARTS + 1, 0)


def test_no_review_is_judged_by_a_regression_that_knew_its_label() -> None:
    changed = LABELS.copy()
    changed[7] = 1 - changed[7]
    before = NOTHING.with_vectors(vectors(LABELS)[:400], TEACHERS)
    after = NOTHING.with_vectors(vectors(LABELS)[:400], TEACHERS._replace(labels=changed))
    assert after.labelled[7] == pytest.approx(before.labelled[7], abs=1e-6)
    assert after.labelled[8] != before.labelled[8]
