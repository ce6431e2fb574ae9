"""Baselines of the accuracy benchmark: linear models of n-grams."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from examples.tfidf import Hyperparameters
from examples.tfidf.model import fit_slices, fit_vectorizer
from sentiment.ngram_model.features import NgramFeatures
from sentiment.ngram_model.nbsvm import NBSVM
from sentiment.text.sequences import Sequences
from sentiment.text.tokenizer import tokenize
from sentiment.text.vocabulary import UNK_ID

Labels = NDArray[np.int8]
Logits = NDArray[np.float32]


def tfidf(training: Sequence[str], labels: Labels, validation: Sequence[str]) -> Logits:
    """[validation texts] logits of the example model with its default hyperparameters."""
    vectorizer, features = fit_vectorizer(training, Hyperparameters())
    *_, regression = fit_slices(features, [str(label) for label in labels], Hyperparameters())
    return np.asarray(regression.decision_function(vectorizer.transform(validation)), np.float32)


def nbsvm(training: Sequence[str], labels: Labels, validation: Sequence[str]) -> Logits:
    """[validation texts] logits of NBSVM over words, pairs and triples in at least two reviews."""
    ids: dict[str, int] = {}
    sides = [
        Sequences.from_lists(
            [[ids.setdefault(word, UNK_ID + 1 + len(ids)) for word in tokenize(text)] for text in texts]
        )
        for texts in (training, validation)
    ]
    features = NgramFeatures.fit(sides[0], UNK_ID + 1 + len(ids), min_reviews=2)
    model = NBSVM.fit(features.transform(sides[0]), labels.astype(np.float32))
    logits = features.transform(sides[1]) @ model.coefficients + model.intercept
    return np.asarray(logits, np.float32)


BASELINES: dict[str, Callable[[Sequence[str], Labels, Sequence[str]], Logits]] = {
    "TF-IDF": tfidf,
    "NBSVM": nbsvm,
}
