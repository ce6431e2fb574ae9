"""Selection of n-gram tokens."""

import numpy as np
import pytest

from sentiment.ngram_model.cross_fit import FOLDS, CrossFittedNBSVM
from sentiment.ngram_model.selection import select_ngrams
from sentiment.text.sequences import Sequences
from sentiment.text.vocabulary import Vocabulary
from tests.support.ngram_reviews import TRAINING, VOCAB_SIZE

VOCABULARY = Vocabulary([f"w{i}" for i in range(2, 30)])
MODEL = CrossFittedNBSVM.fit(TRAINING, VOCAB_SIZE)


def select_tokens(count: int, model: CrossFittedNBSVM = MODEL) -> list[list[str]]:
    return [model.features.to_tokens(selection, VOCABULARY) for selection in select_ngrams(model, count)]


def test_ngrams_with_largest_effect_are_selected() -> None:
    assert all(set(tokens) == {"w2 w3", "w3 w2"} for tokens in select_tokens(2))


def test_every_fold_has_a_selection() -> None:
    assert [len(tokens) for tokens in select_tokens(5)] == [5] * (FOLDS + 1)


def test_count_of_zero_selects_nothing() -> None:
    assert select_tokens(0) == [[]] * (FOLDS + 1)


def test_single_words_are_not_selected() -> None:
    assert all(" " in token for tokens in select_tokens(1_000) for token in tokens)


def test_rare_ngrams_are_not_selected() -> None:
    counts = np.asarray(MODEL.matrix.sum(0))
    assert counts[select_ngrams(MODEL, 1_000)[-1]].min() == 5
    assert (counts < 5).any()


def test_ngrams_with_unknown_words_are_skipped() -> None:
    ids, offsets = TRAINING.sequences.ids, TRAINING.sequences.offsets
    training = TRAINING._replace(sequences=Sequences(np.where(ids == 2, 1, ids), offsets))
    model = CrossFittedNBSVM.fit(training, VOCAB_SIZE)
    words = model.features.word_ids()
    assert (words == 1).any()
    assert not (words[select_ngrams(model, 1_000)[-1]] == 1).any()


def test_folds_selection_ignores_its_labels() -> None:
    labels = TRAINING.labels.copy()
    labels[7] = 1 - labels[7]
    changed = CrossFittedNBSVM.fit(TRAINING._replace(labels=labels), VOCAB_SIZE)
    fold = int(MODEL.fold[7])
    assert np.array_equal(select_ngrams(changed, 20)[fold], select_ngrams(MODEL, 20)[fold])


@pytest.mark.parametrize("count", [3, 20])
def test_selection_is_reproducible(count: int) -> None:
    assert select_tokens(count, CrossFittedNBSVM.fit(TRAINING, VOCAB_SIZE)) == select_tokens(count)
