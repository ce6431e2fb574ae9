"""``metrics.json`` and ``predictions.csv`` of a training job."""

import csv
import io
import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from byoc.files import atomic_write
from sentiment.data.channels import Source
from sentiment.evaluation.metrics import Metrics, sigmoid
from sentiment.text.sequences import Examples


def to_json(metrics: Metrics) -> dict[str, Any]:
    """The metrics by name; an undefined one is None."""
    return {key: None if np.isnan(value) else value for key, value in asdict(metrics).items()}


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
    sources: Mapping[str, list[Source]],
) -> None:
    """Write ``predictions.csv``, one held-out review per row, without its text.

    The mappings are by set name, their arrays [reviews]. File names are relative to ``base``.

    Raises:
        OSError: the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_write(folder / "predictions.csv") as raw:
        stream = io.TextIOWrapper(raw, "utf-8", newline="")
        writer = csv.writer(stream)
        writer.writerow(["set", "file", "line", "label", "probability", "words"])
        for name, reviews in examples.items():
            words = reviews.sequences.lengths
            for i, probability in enumerate(sigmoid(logits[name])):
                file, line = sources[name][i]
                place = [name, os.path.relpath(file, base), line]
                writer.writerow([*place, int(reviews.labels[i]), f"{probability:.6f}", words[i]])
        stream.detach()  # flushes, and leaves the file open
