"""What the network is to say of reviews, where teachers have a say."""

import numpy as np
import pytest

from ngram_reviews import MOVIES, TRAINING, examples
from sentiment.batches import Sequences
from sentiment.distillation import taught
from sentiment.teachers import Teachers

TEACHERS = Teachers.of(TRAINING, MOVIES)
NONE = Sequences.of([])


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_target_lies_between_the_label_and_the_teachers_word(share: float) -> None:
    expected = share * TEACHERS.told() + (1 - share) * TRAINING.labels
    np.testing.assert_allclose(taught(TEACHERS, NONE, share), expected, atol=1e-6)


def test_unlabelled_reviews_come_behind_with_the_word_of_the_one_who_has_read_all() -> None:
    unlabeled = examples(100)
    told = taught(TEACHERS, unlabeled.sequences, 0.5)[len(TRAINING.labels) :]
    assert ((told > 0.5) == (unlabeled.labels == 1)).mean() > 0.95


def test_review_without_a_word_is_judged_too() -> None:
    assert len(taught(TEACHERS, Sequences.of([[], [2]]), 1)) == len(TRAINING.labels) + 2
