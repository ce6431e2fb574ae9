"""What the defaults were chosen by: validation accuracy of one setting after the other.

Each setting differs from the base in what its name says, and runs as a whole job over the 25,000 reviews,
with one thread. The base is the default at a fifth of its width and in half its epochs, so that a comparison
takes minutes; what it says of the other settings is taken to hold for the default's width, too.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.report import REVIEWS, ROOT, save

BASE = {"hidden_dim": 40, "epochs": 5}
SETTINGS: list[dict[str, Any]] = [
    {},
    {"stop_words": "keep-negations"},
    {"stop_words": "all"},
    {"pooling": "mean"},
    {"pooling": "last"},
    {"truncate": "head"},
    {"truncate": "head-tail"},
    {"embedding_dim": 128},
    {"embedding_dropout": 0.3},
    {"learning_rate": 1e-3},
]


def run(setting: dict[str, Any], channel: Path) -> dict[str, Any]:
    """One job; its figures at the best epoch."""
    with tempfile.TemporaryDirectory() as base:
        (Path(base) / "input" / "data").mkdir(parents=True)
        (Path(base) / "input" / "data" / "training").symlink_to(channel)
        arguments = [f"--{name}={value}" for name, value in (BASE | setting).items()]
        subprocess.run(
            [sys.executable, ROOT / "code" / "train.py", *arguments],
            env=os.environ | {"SAGEMAKER_BASE_DIR": base, "OMP_NUM_THREADS": "1"},
            stdout=subprocess.DEVNULL,
            check=True,
        )
        metrics = json.loads((Path(base) / "output" / "data" / "metrics.json").read_text("utf-8"))
    return {
        "setting": setting,
        "validation_accuracy": round(metrics["validation"]["accuracy"], 4),
        "validation_loss": round(metrics["validation"]["log_loss"], 4),
        "best_epoch": metrics["best_epoch"],
    }


def main() -> None:
    """Run all settings, and report."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "reviews.csv").symlink_to(REVIEWS)
        found = []
        for setting in SETTINGS:
            found.append(run(setting, Path(folder)))
            print(found[-1], file=sys.stderr)
    save("settings", {"base": BASE, "seed": 1, "settings": found})


if __name__ == "__main__":
    main()
