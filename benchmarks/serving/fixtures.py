"""Inputs of the serving benchmarks: command line, a model trained by the image, and real reviews to send."""

import argparse
import contextlib
import csv
import json
import os
import random
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.harness import REVIEWS, ROOT
from benchmarks.serving.docker import docker

SEED = 1
REVIEWS_SENT = 2_000
# Speed depends only on the sizes of the model: the default's, from as few reviews as have enough words.
REVIEWS_TRAINED_ON = 5_000


def make_parser(name: str, description: str | None) -> argparse.ArgumentParser:
    """A parser with the options of all serving benchmarks."""
    parser = argparse.ArgumentParser(prog=f"benchmarks/run.sh {name}", description=description)
    parser.add_argument("--image", default="sagemaker-sentiment-lstm", help="an image of build_and_push.sh")
    parser.add_argument("--model", type=Path, help="folder of a model (default: train one, in half a minute)")
    return parser


@contextlib.contextmanager
def prepare(arguments: argparse.Namespace) -> Iterator[tuple[Path, Path]]:
    """A temporary folder with ``bodies.jsonl``, requests of one review each; and the folder of the model."""
    # As Ctrl-C, so that the containers are removed.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        bodies = [json.dumps({"inputs": row["text"]}) + "\n" for row in sample(REVIEWS_SENT)]
        (folder / "bodies.jsonl").write_text("".join(bodies), "utf-8")
        model = arguments.model or train(arguments.image, folder / "ml")
        yield folder, model.resolve()


def train(image: str, base: Path) -> Path:
    """Train a model with default sizes in the image, and return its folder; ``base`` becomes /opt/ml."""
    shutil.copytree(ROOT / "local_test/test_dir/input/config", base / "input/config")
    (base / "input/data/training").mkdir(parents=True)
    with (base / "input/data/training/reviews.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, ["text", "label"], extrasaction="ignore")
        writer.writeheader()
        writer.writerows(sample(REVIEWS_TRAINED_ON))
    volume = ("--volume", f"{base}:/opt/ml")
    # One thread: several wait for one another on a machine with other load.
    command = ("train", "--epochs=1", f"--seed={SEED}")
    docker("run", "--rm", "--env", "OMP_NUM_THREADS=1", *volume, image, *command)
    # The container runs as root; the caller must be able to delete its files.
    docker("run", "--rm", *volume, image, "chown", "-R", f"{os.getuid()}:{os.getgid()}", "/opt/ml")
    return base / "model"


def sample(count: int) -> list[dict[str, str]]:
    """Random reviews: ``text`` and ``label``."""
    with REVIEWS.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    return random.Random(SEED).sample(rows, count)
