"""What each word and phrase tells by itself."""

import numpy as np
import pytest

from sentiment.ngram_model.nbsvm import PARTS, Teachers
from sentiment.ngram_model.scores import NgramScores, fit_ngram_scores, id_matrix, sums
from sentiment.text.sequences import Examples, Sequences
from tests.support.ngram_reviews import MOVIES, VOCAB_SIZE

NO_OTHERS = np.empty((PARTS + 1, 0), np.float32)
NO_MOVIES = np.empty(0, np.uint64)


def of(
    training: Examples, allowed: np.ndarray[tuple[int, int], np.dtype[np.bool_]] | None = None
) -> NgramScores:
    may = np.ones((PARTS + 1, VOCAB_SIZE), np.bool_) if allowed is None else allowed
    teachers = Teachers.of(training, MOVIES, VOCAB_SIZE)
    return fit_ngram_scores(teachers, training.sequences, NO_OTHERS, NO_MOVIES, may)


def telling(labels: np.ndarray[tuple[int], np.dtype[np.int8]]) -> Examples:
    """Reviews of three words, of which 2 is in positive and 3 in negative ones."""
    generator = np.random.default_rng(0)
    return Examples(
        Sequences.from_lists([[2 if y else 3, *generator.integers(4, 9, 2)] for y in labels]), labels
    )


LABELS = (np.arange(400) % 3 > 0).astype(np.int8)


def test_words_of_each_class_weigh_on_its_side() -> None:
    weights = of(telling(LABELS)).scores
    assert (weights[:, 2] > 0.5).all()
    assert (weights[:, 3] < -0.5).all()
    assert (np.abs(weights[:, 4:9]) < 0.3).all()


def test_mean_square_over_the_words_is_one() -> None:
    training = telling(LABELS)
    weights = of(training).scores[PARTS]
    assert np.isclose(np.square(weights[training.sequences.ids]).mean(), 1, atol=1e-5)


def test_line_through_the_mean_weights_tells_the_classes_apart() -> None:
    training = telling(LABELS)
    found = of(training)
    means = sums(id_matrix(training.sequences, VOCAB_SIZE), found.scores, found.fold)
    means /= training.sequences.lengths
    logits = found.slope * means + found.intercept
    assert ((logits > 0) == (training.labels == 1)).all()


def test_review_is_read_with_weights_that_do_not_know_its_label() -> None:
    training = telling(LABELS)
    labels = LABELS.copy()
    labels[7] = 1 - labels[7]
    before, after = of(training), of(Examples(training.sequences, labels))
    part = before.fold[7]
    # But for the common scale.
    ratio = after.scores[part, 2:9] / before.scores[part, 2:9]
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-4)


def test_ids_that_are_not_allowed_weigh_nothing() -> None:
    allowed = np.ones((PARTS + 1, VOCAB_SIZE), np.bool_)
    allowed[1, 2] = False
    weights = of(telling(LABELS), allowed).scores
    assert weights[1, 2] == 0
    assert (weights[[0, 2, 3, 4], 2] > 0.5).all()


@pytest.mark.parametrize("text", [[2, 3], [2]])
def test_words_that_tell_nothing_weigh_nothing(text: list[int]) -> None:
    found = of(Examples(Sequences.from_lists([text] * 400), (np.arange(400) % 2).astype(np.int8)))
    assert np.abs(found.scores).max() < 1e-3
    assert np.isfinite([found.slope, found.intercept]).all()


def test_others_are_ngram_scores_by_what_teachers_say_of_them() -> None:
    training = telling(LABELS)
    # The word 20 is in others only; each teacher has another opinion of it.
    others = Sequences.from_lists([[20, 5], [21, 5]] * 40)
    told = np.full((PARTS + 1, 80), 0.5, np.float32)
    told[0, ::2], told[1, ::2] = 0.95, 0.05
    may = np.ones((PARTS + 1, VOCAB_SIZE), np.bool_)
    teachers = Teachers.of(training, MOVIES, VOCAB_SIZE)
    found = fit_ngram_scores(teachers, training.sequences.concatenate(others), told, MOVIES[:80], may)
    assert found.scores[0, 20] > 0.1
    assert found.scores[1, 20] < -0.1
    assert abs(found.scores[2, 20]) < 0.05
    assert len(found.fold) == len(LABELS) + 80
    assert set(found.fold[-80:]) == set(range(PARTS))


def test_other_review_is_read_with_weights_that_do_not_know_what_is_said_of_it() -> None:
    training = telling(LABELS)
    teachers, may = Teachers.of(training, MOVIES, VOCAB_SIZE), np.ones((PARTS + 1, VOCAB_SIZE), np.bool_)
    sequences = training.sequences.concatenate(Sequences.from_lists([[20, 5], [21, 5]]))
    told = np.full((PARTS + 1, 2), 0.5, np.float32)
    before = fit_ngram_scores(teachers, sequences, told, MOVIES[:2], may)
    told[:, 0] = 0.99
    after = fit_ngram_scores(teachers, sequences, told, MOVIES[:2], may)
    part = before.fold[-2]
    assert after.scores[part, 20] == before.scores[part, 20] == 0
    assert after.scores[(part + 1) % PARTS, 20] > 0


def test_matrix_tells_which_ids_a_review_has() -> None:
    matrix = id_matrix(Sequences.from_lists([[2, 2, 4], [], [3]]), 5)
    assert matrix.toarray().tolist() == [[0, 0, 1, 0, 1], [0, 0, 0, 0, 0], [0, 0, 0, 1, 0]]


def test_sum_is_of_the_words_that_differ_by_the_weights_of_the_part() -> None:
    weights = np.arange(12, dtype=np.float32).reshape(2, 6)
    matrix = id_matrix(Sequences.from_lists([[2, 4, 2], [], [3]]), 6)
    assert sums(matrix, weights, np.array([1, 0, 0])).tolist() == [18.0, 0.0, 3.0]


def test_line_is_that_of_the_damped_mean() -> None:
    # Some labels are wrong, or the slope would have no end.
    training = telling(LABELS)._replace(
        labels=np.where(np.arange(400) % 7, LABELS, 1 - LABELS).astype(np.int8)
    )
    teachers, may = Teachers.of(training, MOVIES, VOCAB_SIZE), np.ones((PARTS + 1, VOCAB_SIZE), np.bool_)
    mean, damped = (
        fit_ngram_scores(teachers, training.sequences, NO_OTHERS, NO_MOVIES, may, damping)
        for damping in (0, 9)
    )
    # Every review has three words, so that a damped mean is a quarter of the mean.
    assert damped.slope == pytest.approx(mean.slope * 4, rel=1e-3)
    assert damped.intercept == pytest.approx(mean.intercept, rel=1e-3)
