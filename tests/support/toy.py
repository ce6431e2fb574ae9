"""The smallest model package: the container's own tests train and serve it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from byoc.errors import DataError
from byoc.hyperparameters import choice, number

if TYPE_CHECKING:  # byoc.job imports torch
    from byoc.job import Job

ARTIFACT = Path(__file__).with_name("toy_artifact")
MODES = ("upper", "lower")
text_fields = ("text", "sentence")
csv_fields = ("answer", "length")
plain_field = "length"
metric_names = ("longest",)
distributed = False


@dataclass(frozen=True, slots=True)
class Hyperparameters:
    """Hyperparameters of both number types and a choice."""

    epochs: int = number(2, 1, 1_000, "number of slices")
    rate: float = number(0.5, 1e-8, 10.0, "a float")
    batch_size: int = number(128, 1, 4_096, "an integer with another range")
    mode: str = choice("upper", MODES, "letter case of the answers")
    seed: int = number(1, 0, 2**32 - 1, "a large integer")


def train(job: "Job") -> None:
    """Count the lines of the channel; write the artifact after each slice, so that a stop loses nothing."""
    paths = sorted(job.channel("training").iterdir())
    for epoch in range(1, job.hyperparameters.epochs + 1):
        lines = sum(len(path.read_text().splitlines()) for path in paths)
        if not lines:
            raise DataError("channel training: no lines; expected at least one")
        content = {**asdict(job.hyperparameters), "lines": lines, "epoch": epoch}
        job.write_artifact(lambda folder, content=content: _write(folder, content))  # type: ignore[misc]
        job.report_metrics(epoch=epoch, lines=lines)
        if job.stop.requested:
            return


def _write(folder: Path, content: Mapping[str, Any]) -> None:
    (folder / "toy.json").write_text(json.dumps(content))


class Model:
    """Answers with the text in the letter case of the artifact."""

    def __init__(self, content: Mapping[str, Any]) -> None:
        self.content = content

    def predict(self, texts: Sequence[str]) -> list[dict[str, Any]]:
        """One object per text; the text "fail" raises."""
        if "fail" in texts:
            raise RuntimeError("a fault of the model")
        change = str.upper if self.content["mode"] == "upper" else str.lower
        return [{"answer": change(text), "length": len(text), "_hidden": 1} for text in texts]

    def metrics(self, results: Sequence[Mapping[str, Any]]) -> dict[str, float]:
        """The length of the longest text."""
        return {"longest": max((result["length"] for result in results), default=0)}


def load(folder: Path, device: str, precision: str) -> Model:
    """The model of an artifact."""
    return Model(json.loads((folder / "toy.json").read_text()))
