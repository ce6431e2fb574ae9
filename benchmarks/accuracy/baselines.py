"""Baselines of the accuracy benchmark: linear models of n-grams."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from sentiment.text.tokenizer import tokenize

Labels = NDArray[np.int8]
Logits = NDArray[np.float32]

_WORDS = {"tokenizer": tokenize, "token_pattern": None, "lowercase": False}


def tfidf(training: Sequence[str], labels: Labels, validation: Sequence[str]) -> Logits:
    """[validation texts] logits of TF-IDF over words and pairs."""
    vectorizer = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True, **_WORDS)
    regression = LogisticRegression(C=30, max_iter=1_000).fit(vectorizer.fit_transform(training), labels)
    return np.asarray(regression.decision_function(vectorizer.transform(validation)), np.float32)


def nbsvm(training: Sequence[str], labels: Labels, validation: Sequence[str]) -> Logits:
    """[validation texts] logits of NBSVM over words, pairs and triples (Wang and Manning, ACL 2012)."""
    vectorizer = CountVectorizer(ngram_range=(1, 3), min_df=2, binary=True, dtype=np.float32, **_WORDS)
    counts = vectorizer.fit_transform(training)
    positive, negative = (np.asarray(counts[labels == label].sum(0)).ravel() + 1 for label in (1, 0))
    ratios = np.log(positive / positive.sum()) - np.log(negative / negative.sum())
    weights = sparse.diags_array(ratios.astype(np.float32))
    regression = LogisticRegression(max_iter=1_000).fit(counts @ weights, labels)
    return np.asarray(regression.decision_function(vectorizer.transform(validation) @ weights), np.float32)


BASELINES: dict[str, Callable[[Sequence[str], Labels, Sequence[str]], Logits]] = {
    "TF-IDF": tfidf,
    "NBSVM": nbsvm,
}
