"""Which phrases get an id."""

import numpy as np
import pytest

from sentiment.ngram_model.nbsvm import PARTS, Teachers
from sentiment.ngram_model.selection import as_text, chosen
from sentiment.text.sequences import Examples, Sequences
from sentiment.text.vocabulary import Vocabulary
from tests.support.ngram_reviews import MOVIES, TRAINING, VOCAB_SIZE

VOCABULARY = Vocabulary([f"w{i}" for i in range(2, 30)])
TEACHERS = Teachers.of(TRAINING, MOVIES, VOCAB_SIZE)


def texts(count: int) -> list[list[str]]:
    return [as_text(choice, TEACHERS, VOCABULARY) for choice in chosen(TEACHERS, count)]


def test_phrases_that_tell_most_are_chosen() -> None:
    assert all(set(choice) == {"w2 w3", "w3 w2"} for choice in texts(2))


def test_each_teacher_chooses() -> None:
    assert [len(choice) for choice in texts(5)] == [5] * (PARTS + 1)


def test_none_are_chosen_where_none_is_wanted() -> None:
    assert texts(0) == [[]] * (PARTS + 1)


def test_single_words_are_no_phrases() -> None:
    assert all(" " in phrase for choice in texts(1_000) for phrase in choice)


def test_rare_phrases_are_not_chosen() -> None:
    counts = np.asarray(TEACHERS.matrix.sum(0))
    assert counts[chosen(TEACHERS, 1_000)[-1]].min() == 5
    assert (counts < 5).any()


def test_infrequent_words_are_in_no_phrase() -> None:
    with_infrequent = Sequences(
        np.where(TRAINING.sequences.ids == 2, 1, TRAINING.sequences.ids), TRAINING.sequences.offsets
    )
    teachers = Teachers.of(Examples(with_infrequent, TRAINING.labels), MOVIES, VOCAB_SIZE)
    words = teachers.ngrams.words()
    assert (words == 1).any()
    assert not (words[chosen(teachers, 1_000)[-1]] == 1).any()


def test_label_of_a_review_has_no_say_in_the_choice_of_who_has_not_read_it() -> None:
    labels = TRAINING.labels.copy()
    part = int(TEACHERS.part[7])
    labels[7] = 1 - labels[7]
    others = Teachers.of(Examples(TRAINING.sequences, labels), MOVIES, VOCAB_SIZE)
    assert np.array_equal(chosen(others, 20)[part], chosen(TEACHERS, 20)[part])


@pytest.mark.parametrize("count", [3, 20])
def test_same_reviews_give_the_same_phrases(count: int) -> None:
    again = Teachers.of(TRAINING, MOVIES, VOCAB_SIZE)
    assert [as_text(choice, again, VOCABULARY) for choice in chosen(again, count)] == texts(count)
