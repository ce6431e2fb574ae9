"""The smallest model package with every member: the container's own tests train and serve it.

Training counts the lines of the channel, once per epoch; the model answers with the text in upper case.
"""

import json
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from byoc.checkpoints import Checkpoint, Position
from byoc.errors import ArtifactError, DataError
from byoc.hyperparameters import choice, number
from byoc.job import Job

logger = logging.getLogger(__name__)

ARTIFACT = Path(__file__).with_name("toy_artifact")
MODES = ("upper", "lower")

text_fields = ("text", "sentence")
labels = ("good", "bad")
csv_fields = ("answer", "length")
plain_field = "length"
metric_names = ("longest",)
probe = "A probe."
distributed = True


@dataclass(frozen=True, slots=True)
class Hyperparameters:
    """Hyperparameters of both number types and a choice."""

    epochs: int = number(2, 1, 1_000, "number of epochs")
    rate: float = number(0.5, 1e-8, 10.0, "a float")
    batch_size: int = number(128, 1, 4_096, "an integer with another range")
    mode: str = choice("upper", MODES, "letter case of the answers")
    seed: int = number(1, 0, 2**32 - 1, "a large integer")
    pause: float = number(0.0, 0.0, 60.0, "seconds before the first epoch and per epoch")
    processes_per_host: int = number(0, 0, 8, "number of processes per host")


def train(job: Job) -> None:
    """Count the lines of all processes; write artifact and checkpoint after each epoch."""
    process_group, hyperparameters = job.process_group, job.hyperparameters
    logger.info("counting lines")
    counts = [process_group.run_interruptible(job.stop, partial(_count_lines, job))]
    lines = int(process_group.concatenate(np.array(counts)).sum())
    content = process_group.broadcast(job.checkpoints.newest() if process_group.rank == 0 else None)
    first = Checkpoint.from_bytes(content).position.epochs + 1 if content else 1
    for epoch in range(first, hyperparameters.epochs + 1):
        time.sleep(hyperparameters.pause)
        model = asdict(hyperparameters) | {"lines": lines, "epoch": epoch, "first": first}
        job.write_artifact(partial(_write_model, model))
        if process_group.rank == 0:
            job.checkpoints.write(Checkpoint(Position(epoch, 0), {}, {}, {}), epoch)
        job.report_metrics(epoch=epoch, lines=lines)
        if process_group.any(job.stop.requested):
            logger.info("stopped after epoch %d", epoch)
            return


def _count_lines(job: Job) -> int:
    time.sleep(job.hyperparameters.pause)
    paths = upload_files(job.channel("training"), "training")
    counts = [_check_file(path) for path in paths]
    return sum(counts[job.process_group.local_rank :: job.process_group.local_size])


def _check_file(path: Path) -> int:
    count = len(path.read_text("utf-8").splitlines())
    if not count:
        raise DataError(f"{path}: empty; expected at least one line")
    return count


def _write_model(model: Mapping[str, Any], folder: Path) -> None:
    (folder / "toy.json").write_text(json.dumps(model))


def check(folder: Path, channel: str, hyperparameters: Any) -> str:
    """Count the lines of a channel."""
    return f"{sum(map(_check_file, upload_files(folder, channel)))} lines"


def upload_files(folder: Path, _channel: str) -> Iterator[Path]:
    """The text and CSV files of a folder."""
    return (path for path in sorted(folder.iterdir()) if path.suffix in (".txt", ".csv"))


class Model:
    """A loaded model."""

    def __init__(self, content: Mapping[str, Any]) -> None:
        self.content = content

    def predict(self, texts: Sequence[str]) -> list[dict[str, Any]]:
        """One object per text; the text "fail" raises."""
        if "fail" in texts:
            raise RuntimeError("a fault of the model")
        change = str.upper if self.content["mode"] == "upper" else str.lower
        return [{"answer": change(text), "length": len(text), "_hidden": 1} for text in texts]

    def explain(self, texts: Sequence[str]) -> list[dict[str, int]]:
        """The number of words of each text."""
        return [{"words": len(text.split())} for text in texts]

    def metrics(self, results: Sequence[Mapping[str, Any]]) -> dict[str, float]:
        """The length of the longest text."""
        return {"longest": max((result["length"] for result in results), default=0)}


def check_artifact(folder: Path) -> None:
    """Check that the model is a JSON object with a mode."""
    content = json.loads((folder / "toy.json").read_text())
    if content.get("mode") not in MODES:
        raise ArtifactError(f"{folder / 'toy.json'}: no mode; expected one of {', '.join(MODES)}")


def load(folder: Path, device: str, precision: str) -> Model:
    """The model of an artifact."""
    return Model(json.loads((folder / "toy.json").read_text()))
