"""Which phrases get an id: those that tell most of the sentiment, beyond what their words tell."""

import numpy as np
from numpy.typing import NDArray

from sentiment.ngram_model.nbsvm import Teacher, Teachers
from sentiment.text.vocabulary import UNK_ID, Vocabulary

# Reviews that a phrase has to be in: what fewer say of it is chance.
_FEWEST = 5


def chosen(teachers: Teachers, count: int) -> list[NDArray[np.int64]]:
    """[phrases] n-grams that tell most, by each of the teachers: indices into what they know.

    Each chooses among what it has read. The choice alone would tell it what a review's label is.

    Args:
        teachers: of all parts.
        count: phrases for each of them to choose.
    """
    words = teachers.ngrams.words()
    is_phrase = (words[:, 1] > 0) & (words != UNK_ID).all(1)
    found = []
    for number, teacher in enumerate(teachers.each):
        reviews = np.asarray(teachers.matrix[teachers.part != number].sum(0))
        is_open = np.flatnonzero(is_phrase & (reviews >= _FEWEST))
        order = np.argsort(-_movement(teacher, reviews)[is_open], kind="stable")
        found.append(np.sort(is_open[order[:count]]))
    return found


def _movement(teacher: Teacher, reviews: NDArray[np.float32]) -> NDArray[np.float32]:
    """[n-grams] how much each moves the logits of all reviews, as a root mean square."""
    movement: NDArray[np.float32] = np.abs(teacher.coefficients) * np.sqrt(reviews)
    return movement


def as_text(phrases: NDArray[np.int64], teachers: Teachers, vocabulary: Vocabulary) -> list[str]:
    """Phrases, by their indices, as the lookup table has them."""
    return [
        " ".join(vocabulary.word(word) for word in ids if word)
        for ids in teachers.ngrams.words()[phrases].tolist()
    ]
