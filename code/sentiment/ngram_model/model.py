"""The n-gram model's one entry point: ``fit``."""

import logging
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sentiment.hyperparameters import Hyperparameters
from sentiment.ngram_model.cross_fit import CrossFittedNBSVM
from sentiment.ngram_model.scores import NgramScores, fit_ngram_scores
from sentiment.ngram_model.selection import select_ngrams
from sentiment.ngram_model.soft_labels import SoftLabels
from sentiment.settings import PSEUDO_COUNT
from sentiment.text.ngrams import Keys, NgramInserter
from sentiment.text.sequences import Examples
from sentiment.text.vocabulary import Vocabulary

logger = logging.getLogger(__name__)


class NgramModel(NamedTuple):
    """Everything that the training of the network takes from the n-gram model."""

    ngrams: list[str]  # n-gram tokens to add to the vocabulary
    probabilities: NDArray[np.float32]  # [labeled + unlabeled reviews] training targets
    scores: NgramScores | None = None  # of words and n-gram tokens; None with ``ngram_init=none``


def fit(
    training: Examples,
    unlabeled: Examples,
    vocabulary: Vocabulary,
    hyperparameters: Hyperparameters,
    embed_reviews: Callable[[Keys], NDArray[np.float32] | None],
) -> NgramModel:
    """Fit the n-gram model.

    Args:
        training: reviews of both classes, without n-gram tokens.
        unlabeled: further reviews to train on, with soft labels; may be empty.
        vocabulary: words only.
        hyperparameters: ``max_ngrams``, ``soft_label_weight``, ``ngram_init`` and ``pooling``.
        embed_reviews: called with the keys of the selected n-grams; returns [labeled + unlabeled reviews,
            dimensions] vectors that refine the soft labels, or None.

    Raises:
        DataError: there is too little to learn from.
    """
    model = CrossFittedNBSVM.fit(training, len(vocabulary))
    selections = select_ngrams(model, hyperparameters.max_ngrams)
    selected = np.unique(np.concatenate(selections))
    ngrams = model.features.to_tokens(selected, vocabulary)
    vectors = embed_reviews(model.features.keys[selected])
    soft_labels = SoftLabels.predict(model, unlabeled.sequences)
    if hyperparameters.soft_label_weight > 0 and vectors is not None:
        soft_labels = soft_labels.refine(vectors, model)
        accuracy = ((soft_labels.labeled > 0.5) == (model.labels == 1)).mean()
        logger.info("n-gram model with document vectors: out-of-fold accuracy %.4f", accuracy)
    probabilities = soft_labels.targets(model.labels, hyperparameters.soft_label_weight)
    if hyperparameters.ngram_init == "none":
        return NgramModel(ngrams, probabilities)
    usable = np.ones((len(selections), len(vocabulary) + len(selected)), np.bool_)
    usable[:, len(vocabulary) :] = [np.isin(selected, selection) for selection in selections]
    insert = NgramInserter(Vocabulary(vocabulary.words, ngrams)).insert
    scores = fit_ngram_scores(
        model,
        insert(training.sequences),
        unlabeled._replace(sequences=insert(unlabeled.sequences)),
        soft_labels.unlabeled,
        usable,
        PSEUDO_COUNT.get(hyperparameters.pooling, 0),
    )
    return NgramModel(ngrams, probabilities, scores)
