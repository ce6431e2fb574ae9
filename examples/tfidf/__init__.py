"""TF-IDF and logistic regression as a model package: copy this folder to bring your own model.

``byoc.model.ModelPackage`` documents the members; docs/your-own-model.md is the guide.
"""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from byoc.errors import DataError
from byoc.hyperparameters import number

from .data import read_channel, split

if TYPE_CHECKING:
    from byoc.job import Job

logger = logging.getLogger(__name__)

csv_fields = ("label", "probability")
plain_field = "label"


@dataclass(frozen=True, slots=True)
class Hyperparameters:
    """The hyperparameters of a job, with default, range and help."""

    ngrams: int = number(2, 1, 3, "longest sequence of words that is a feature")
    min_texts: int = number(2, 1, 1_000, "number of texts in which a feature must occur")
    max_features: int = number(1_000_000, 100, 10_000_000, "maximum number of features")
    C: float = number(30.0, 0.001, 1_000.0, "inverse strength of the L2 regularization")
    slices: int = number(20, 1, 1_000, "maximum number of slices of 10 iterations")
    validation_fraction: float = number(0.1, 0.01, 0.5, "fraction held out without a validation channel")
    seed: int = number(1, 0, 2**32 - 1, "seed of the held-out texts")


def train(job: "Job") -> None:
    """Fit in slices, and write the artifact after each, so that a stop leaves a usable model."""
    # The import waits for the call: ``python -m jobs`` runs without scikit-learn.
    from .model import Model, evaluate, fit_slices, fit_vectorizer  # noqa: PLC0415

    with job.stop.interruptible():  # without a model, there is nothing to save
        training = read_channel("training", job.channel("training"))
        if "validation" in job.channels:
            validation = read_channel("validation", job.channel("validation"))
        else:
            training, validation = split(training, job.hyperparameters)
        labels, held_out_labels = ([label for _, label in examples] for examples in (training, validation))
        if len(set(labels)) < 2 or not set(held_out_labels) <= set(labels):
            raise DataError("channel training: expected two labels or more, and all labels of the validation")
        vectorizer, features = fit_vectorizer([text for text, _ in training], job.hyperparameters)
        held_out = vectorizer.transform([text for text, _ in validation])
    logger.info("training texts: %d; features: %d; validation texts: %d", *features.shape, len(validation))
    for count, regression in enumerate(fit_slices(features, labels, job.hyperparameters), start=1):
        job.write_artifact(Model(vectorizer, regression).save)
        job.report_metrics(slice=count, **evaluate(regression, held_out, held_out_labels))
        if job.stop.requested:
            logger.info("stopped; the model is saved")
            return


def load(folder: Path, device: str, precision: str) -> Any:  # noqa: ARG001 (the protocol has them)
    """The model in an artifact folder; runs on the CPU in double precision."""
    from .model import Model  # noqa: PLC0415

    return Model.load(folder)


def check(path: Path, channel: str, hyperparameters: Hyperparameters) -> str:  # noqa: ARG001 (protocol)
    """Read a channel as a training job does."""
    examples = read_channel(channel, path)
    return f"{len(examples)} texts, {len({label for _, label in examples})} labels"
