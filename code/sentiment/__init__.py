"""An LSTM for the sentiment of movie reviews; the members are those of ``byoc.model.ModelPackage``."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from sentiment.hyperparameters import Hyperparameters as Hyperparameters
from sentiment.settings import TEXT_NAMES

if TYPE_CHECKING:
    from byoc.job import Job
    from sentiment.model.predictor import Predictor

distributed = True
probe = "A probe."
text_fields = TEXT_NAMES
labels = ("pos", "neg", "positive", "negative", "true", "false", "label_0", "label_1")
csv_fields = ("label", "score", "probability", "warning")
plain_field = "probability"
metric_names = ("unknown_share",)

# The imports wait for the call: torch takes seconds, and ``python -m jobs`` does without it.


def train(job: "Job") -> None:
    """Train the model, or pretrain a language model on unlabeled reviews alone."""
    from sentiment.training.run import train  # noqa: PLC0415

    train(job)


def load(folder: Path, device: str, precision: str) -> "Predictor":
    """The model in an artifact folder."""
    from sentiment.model.predictor import Predictor  # noqa: PLC0415

    return Predictor.load(folder, device, precision)


def check_artifact(folder: Path) -> None:
    """Check that weights, vocabulary and settings agree."""
    from sentiment.model.artifact import load_artifact  # noqa: PLC0415

    load_artifact(folder)


def check(path: Path, channel: str, hyperparameters: Hyperparameters) -> str:
    """Read a channel as a training job would."""
    from sentiment.data.channels import check  # noqa: PLC0415

    return check(path, channel, hyperparameters)


def upload_files(path: Path, channel: str) -> Iterator[Path]:
    """The files of a channel that a training job would read."""
    from sentiment.data.channels import upload_files  # noqa: PLC0415

    return upload_files(path, channel)
