"""What a training job leaves beside the artifact: ``metrics.json`` and ``predictions.csv``."""

import csv
import io
import json
import math
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from byoc.files import atomic_write
from sentiment.data.sources import Sources
from sentiment.evaluation.metrics import Metrics, sigmoid
from sentiment.text.sequences import Examples
from sentiment.training.history import Epoch, best_epoch


def summary(history: list[Epoch], metrics: Mapping[str, Metrics]) -> dict[str, Any]:
    """The figures of a job as JSON can hold them: a figure that does not exist is null."""
    return {
        "best_epoch": best_epoch(history).epoch,
        "epochs": [epoch._asdict() for epoch in history],
        **{name: _without_nan(asdict(figures)) for name, figures in metrics.items()},
    }


def _without_nan(figures: dict[str, Any]) -> dict[str, Any]:
    return {
        name: None if isinstance(value, float) and math.isnan(value) else value
        for name, value in figures.items()
    }


def describe(name: str, metrics: Metrics) -> str:
    """The figures of one set in one line, in the form of the epochs' lines."""
    figures = asdict(metrics)
    return " ".join(
        f"{name}_{key}={value:.4f};" if isinstance(value, float) else f"{name}_{key}={value};"
        for key, value in figures.items()
    )


def write_metrics(folder: Path, content: Mapping[str, Any]) -> None:
    """Write ``metrics.json``.

    Raises:
        OSError: the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_write(folder / "metrics.json") as stream:
        stream.write(json.dumps(content, indent=2).encode() + b"\n")


def write_predictions(
    folder: Path,
    base: Path,
    examples: Mapping[str, Examples],
    logits: Mapping[str, NDArray[np.float32]],
    word_counts: Mapping[str, NDArray[np.int64]],
    sources: Mapping[str, Sources],
) -> None:
    """Write ``predictions.csv``: one held-out review a row, by where it came from, without its text.

    Args:
        folder: where to.
        base: what the files are named relative to.
        examples: the held-out sets by name.
        logits: [reviews] of each.
        word_counts: [reviews] of each, how many words count.
        sources: [reviews] of each.

    Raises:
        OSError: the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_write(folder / "predictions.csv") as raw:
        stream = io.TextIOWrapper(raw, "utf-8", newline="")
        writer = csv.writer(stream)
        writer.writerow(["set", "file", "line", "label", "probability", "words"])
        for name, part in examples.items():
            words = word_counts[name]
            for i, probability in enumerate(sigmoid(logits[name])):
                file, line = sources[name][i]
                place = [name, os.path.relpath(file, base), line]
                writer.writerow([*place, int(part.labels[i]), f"{probability:.6f}", words[i]])
        stream.detach()  # what the text layer still holds goes to the file, which stays open
