"""The n-gram model's entry point."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from sentiment.hyperparameters import Hyperparameters
from sentiment.ngram_model.cross_fit import FOLDS
from sentiment.ngram_model.model import fit
from sentiment.text.ngrams import Keys, encode_ngram
from sentiment.text.sequences import Examples
from sentiment.text.vocabulary import Vocabulary
from tests.support.ngram_reviews import TRAINING, examples

VOCABULARY = Vocabulary([f"w{i}" for i in range(2, 30)])
HYPERPARAMETERS = Hyperparameters(max_ngrams=2, soft_label_weight=0.5)


def no_vectors(_keys: Keys) -> None:
    return None


def test_fit_returns_tokens_targets_and_scores() -> None:
    model = fit(TRAINING, examples(10), VOCABULARY, HYPERPARAMETERS, no_vectors)
    assert set(model.ngrams) == {"w2 w3", "w3 w2"}
    assert model.probabilities.shape == (410,)
    assert model.scores is not None
    assert model.scores.scores.shape == (FOLDS + 1, len(VOCABULARY) + 2)
    assert model.scores.fold.shape == (410,)


def test_fit_without_ngram_init_omits_scores() -> None:
    hyperparameters = replace(HYPERPARAMETERS, ngram_init="none")
    assert fit(TRAINING, Examples.empty(), VOCABULARY, hyperparameters, no_vectors).scores is None


def test_selected_keys_reach_the_document_vectors() -> None:
    received: list[int] = []

    def embed(keys: Keys) -> NDArray[np.float32]:
        received.extend(keys.tolist())
        return np.ones((400, 2), np.float32)

    fit(TRAINING, Examples.empty(), VOCABULARY, HYPERPARAMETERS, embed)
    base = len(VOCABULARY)
    assert sorted(received) == sorted([encode_ngram([2, 3], base), encode_ngram([3, 2], base)])
