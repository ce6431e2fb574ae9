"""TF-IDF features of texts, and a logistic regression on them."""

import json
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from safetensors.numpy import load_file, save
from scipy.sparse import csr_array
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from byoc.errors import ArtifactError, DataError

# Words keep their apostrophe; ! and ? are words. The weight of a term that occurs n times is 1 + ln(n).
_TERMS = {"token_pattern": r"\w+(?:'\w+)?|[!?]", "sublinear_tf": True}
_ITERATIONS_PER_SLICE = 10


def fit_vectorizer(texts: Sequence[str], hyperparameters: Any) -> tuple[TfidfVectorizer, csr_array]:
    """The vectorizer, and the features of the texts, [texts, features].

    Raises:
        DataError: no word occurs in ``min_texts`` texts.
    """
    limits = {"min_df": hyperparameters.min_texts, "max_features": hyperparameters.max_features}
    vectorizer = TfidfVectorizer(ngram_range=(1, hyperparameters.ngrams), **limits, **_TERMS)
    try:
        return vectorizer, vectorizer.fit_transform(texts)
    except ValueError as error:
        raise DataError(f"channel training: no word in {limits['min_df']} texts; lower min_texts") from error


def fit_slices(features: csr_array, labels: Sequence[str], hyperparameters: Any) -> Iterator[Any]:
    """Fit a ``LogisticRegression``, yielded after each slice; ends early at convergence."""
    regression = LogisticRegression(C=hyperparameters.C, max_iter=_ITERATIONS_PER_SLICE, warm_start=True)
    warnings.simplefilter("ignore", ConvergenceWarning)  # the next slice continues
    for _ in range(hyperparameters.slices):
        yield regression.fit(features, labels)
        if regression.n_iter_.max() < _ITERATIONS_PER_SLICE:
            return


def evaluate(regression: Any, features: csr_array, labels: Sequence[str]) -> dict[str, float]:
    """Accuracy and mean log loss; every label must be one of the regression's."""
    loss = float(log_loss(labels, regression.predict_proba(features), labels=regression.classes_))
    return {"validation_accuracy": float(regression.score(features, labels)), "validation_log_loss": loss}


class Model(NamedTuple):
    """A fitted vectorizer and regression. The artifact holds no pickle: loading it executes nothing."""

    vectorizer: TfidfVectorizer
    regression: LogisticRegression

    def predict(self, texts: Sequence[str]) -> list[dict[str, Any]]:
        """The most probable label of each text, and its probability."""
        probabilities = self.regression.predict_proba(self.vectorizer.transform(texts))
        labels = self.regression.classes_[probabilities.argmax(axis=1)]
        pairs = zip(labels.tolist(), probabilities.max(axis=1).tolist(), strict=True)
        return [{"label": label, "probability": round(probability, 6)} for label, probability in pairs]

    def save(self, folder: Path) -> None:
        """Write the files of the artifact."""
        regression, columns = self.regression, self.vectorizer.vocabulary_
        labels, terms = regression.classes_.tolist(), sorted(columns, key=columns.get)
        content = {"ngram_range": self.vectorizer.ngram_range, "labels": labels, "terms": terms}
        (folder / "model.json").write_text(json.dumps(content), "utf-8")
        coef = np.ascontiguousarray(regression.coef_)  # safetensors ignores the order of the memory
        arrays = {"idf": self.vectorizer.idf_, "coef": coef, "intercept": regression.intercept_}
        (folder / "model.safetensors").write_bytes(save(arrays))

    @classmethod
    def load(cls, folder: Path) -> "Model":
        """Read the files of an artifact."""
        content = json.loads((folder / "model.json").read_text("utf-8"))
        arrays = load_file(folder / "model.safetensors")
        if not all(np.isfinite(array).all() for array in arrays.values()):
            raise ArtifactError(f"{folder}: a number is not finite; train the model again")
        options = {"ngram_range": tuple(content["ngram_range"]), "vocabulary": content["terms"]}
        vectorizer = TfidfVectorizer(**options, **_TERMS)
        vectorizer.idf_ = arrays["idf"]
        regression = LogisticRegression()
        regression.classes_ = np.array(content["labels"])
        regression.coef_, regression.intercept_ = arrays["coef"], arrays["intercept"]
        return cls(vectorizer, regression)
