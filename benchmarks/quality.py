"""How good the default settings are: validation accuracy beside what a user would pick instead.

The default job runs over the 25,000 real reviews as ``train_local.sh`` runs it, in a process of its own whose
time is taken. The baseline, TF-IDF over words and word pairs with logistic regression, is
trained on the same training part and measured on the same validation part, in the same run. With a folder in
the official layout as argument both sides use that, and the split is by movie.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from benchmarks.report import REVIEWS, ROOT, save
from sentiment.corpus import is_held_out
from sentiment.evaluation import roc_auc
from sentiment.hyperparameters import Hyperparameters
from sentiment.reviews import read_channel
from sentiment.text import words

HYPERPARAMETERS = Hyperparameters()


def run_default(channel: Path) -> dict[str, Any]:
    """Run the default job; its figures on the validation part, its time and its peak memory."""
    with tempfile.TemporaryDirectory() as base:
        data = Path(base) / "input" / "data"
        data.mkdir(parents=True)
        (data / "training").symlink_to(channel)
        start = time.perf_counter()
        job = subprocess.Popen(
            [sys.executable, ROOT / "code" / "train.py"], env=os.environ | {"SAGEMAKER_BASE_DIR": base}
        )
        if job.wait():
            raise SystemExit("the job failed")
        metrics = json.loads((Path(base) / "output" / "data" / "metrics.json").read_text("utf-8"))
        return {
            "validation": metrics["validation"],
            "best_epoch": metrics["best_epoch"],
            "epochs": len(metrics["epochs"]),
            "seconds": round(time.perf_counter() - start),
        }


def run_baseline(channel: Path) -> dict[str, Any]:
    """TF-IDF over words and word pairs with logistic regression, on the same split."""
    start = time.perf_counter()
    sides: tuple[list[str], list[str]] = ([], [])
    labels: tuple[list[int], list[int]] = ([], [])
    seen = set()
    for review in read_channel("training", channel):
        side = is_held_out(review, HYPERPARAMETERS.validation_fraction, HYPERPARAMETERS.seed)
        sides[side].append(" ".join(words(review.text)))
        labels[side].append(review.label)
        if not side:
            seen.add(sides[side][-1])
    # The words are made already: scikit-learn only splits at the spaces.
    vectorizer = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True, tokenizer=str.split)
    vectorizer.token_pattern = None
    regression = LogisticRegression(C=30, max_iter=1_000)
    regression.fit(vectorizer.fit_transform(sides[False]), labels[False])
    # As in the job: a validation text that training has seen does not count.
    fresh = [i for i, text in enumerate(sides[True]) if text not in seen]
    scores = regression.decision_function(vectorizer.transform([sides[True][i] for i in fresh]))
    actual = np.array([labels[True][i] for i in fresh], np.int8)
    return {
        "validation": {
            "reviews": len(actual),
            "accuracy": float(((scores > 0) == actual).mean()),
            "roc_auc": roc_auc(scores, actual),
        },
        "seconds": round(time.perf_counter() - start),
    }


def main() -> None:
    """Run both, and report."""
    with tempfile.TemporaryDirectory() as folder:
        if len(sys.argv) > 1:
            channel = Path(sys.argv[1]).resolve()
        else:
            channel = Path(folder)
            (channel / "reviews.csv").symlink_to(REVIEWS)
        figures = {"default": run_default(channel), "tfidf_logistic_regression": run_baseline(channel)}
        count = figures["default"]["validation"]["reviews"]
        accuracy = figures["default"]["validation"]["accuracy"]
        standard_error = round(float(np.sqrt(accuracy * (1 - accuracy) / count)), 4)
        save("quality", {"seed": HYPERPARAMETERS.seed, **figures, "standard_error": standard_error})


if __name__ == "__main__":
    main()
