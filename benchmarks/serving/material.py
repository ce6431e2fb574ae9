"""What is served and what is sent: a model that the image has trained, and real reviews."""

import csv
import json
import os
import random
from pathlib import Path

from benchmarks.report import REVIEWS
from benchmarks.serving.docker import docker

SEED = 1
REVIEWS_SENT = 2_000
# For speed only the shape of the model matters: the default's, from as few reviews as have the words for it.
REVIEWS_TRAINED_ON = 5_000
JOB = {
    "hyperparameters.json": {"epochs": "1", "seed": str(SEED)},
    "inputdataconfig.json": {"training": {"TrainingInputMode": "File"}},
    "resourceconfig.json": {
        "current_host": "algo-1",
        "hosts": ["algo-1"],
        "network_interface_name": "eth0",
    },
}


def _sample(count: int) -> list[dict[str, str]]:
    with REVIEWS.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    return random.Random(SEED).sample(rows, count)


def write_bodies(folder: Path) -> None:
    """Write ``bodies.jsonl``: requests of one real review each."""
    bodies = [json.dumps({"inputs": row["text"]}) + "\n" for row in _sample(REVIEWS_SENT)]
    (folder / "bodies.jsonl").write_text("".join(bodies), "utf-8")


def train(image: str, base: Path) -> Path:
    """Train a model of the default shape with the image, in half a minute; returns its folder.

    Args:
        image: whose ``train`` runs.
        base: an empty folder, which becomes the job's /opt/ml.
    """
    for part in ("input/config", "input/data/training", "model", "output"):
        (base / part).mkdir(parents=True)
    for name, content in JOB.items():
        (base / "input" / "config" / name).write_text(json.dumps(content), "utf-8")
    with (base / "input/data/training/reviews.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, ["text", "label"], extrasaction="ignore")
        writer.writeheader()
        writer.writerows(_sample(REVIEWS_TRAINED_ON))
    volume = ("--volume", f"{base}:/opt/ml")
    # One thread: several wait for each other on a machine that has other work too.
    docker("run", "--rm", "--env", "OMP_NUM_THREADS=1", *volume, image, "train")
    # The container runs as root; what it leaves is to be the caller's.
    docker("run", "--rm", *volume, image, "chown", "-R", f"{os.getuid()}:{os.getgid()}", "/opt/ml")
    return base / "model"
