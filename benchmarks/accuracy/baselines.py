"""Baselines of the accuracy benchmark: linear models of n-grams."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from examples.tfidf import Hyperparameters
from examples.tfidf.model import fit_slices, fit_vectorizer
from sentiment.ngram_model.nbsvm import NBSVM
from sentiment.text.sequences import Examples, Sequences
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
    model = NBSVM.fit(Examples(sides[0], labels), UNK_ID + 1 + len(ids), max_ngrams=10**8)
    return model.logits(sides[1])


BASELINES: dict[str, Callable[[Sequence[str], Labels, Sequence[str]], Logits]] = {
    "TF-IDF": tfidf,
    "NBSVM": nbsvm,
}
