"""Parts of all benchmarks: paths, training jobs, alternating measurements, and results files."""

import json
import os
import platform
import shlex
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from byoc.version import version

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
REVIEWS = ROOT / ".cache" / "reviews.csv"
ROUNDS = 3


def run_job(base: Path, **hyperparameters: object) -> None:
    """Run a training job in its own process, with its log on stderr."""
    command = train_command(**hyperparameters)
    subprocess.run(command, env=job_environment(base), stdout=sys.stderr, check=True)


def train_command(**hyperparameters: object) -> list[str]:
    """The command of a training job."""
    options = (f"--{name}={value}" for name, value in hyperparameters.items())
    return [sys.executable, str(ROOT / "code" / "train.py"), *options]


def job_environment(base: Path) -> dict[str, str]:
    """Environment variables of a job with ``base`` in place of /opt/ml."""
    return os.environ | {"SAGEMAKER_BASE_DIR": str(base), "PYTHONUNBUFFERED": "1"}


def link_reviews(base: Path) -> Path:
    """Make the 25,000 reviews the training channel of a job, and return the channel's folder."""
    channel = base / "input" / "data" / "training"
    channel.mkdir(parents=True)
    (channel / "reviews.csv").symlink_to(REVIEWS)
    return channel


def alternate(sides: Mapping[str, Callable[[], float]]) -> dict[str, Any]:
    """Measure the reviews per second of both sides in turn.

    The ratio is the median over the rounds, because a slow machine slows down both sides of a round.
    """
    rounds = [{side: measure() for side, measure in sides.items()} for _ in range(ROUNDS)]
    first, second = sides
    return {
        "reviews_per_second": {side: [round(rates[side]) for rates in rounds] for side in sides},
        "ratio": round(statistics.median(rates[first] / rates[second] for rates in rounds), 2),
    }


def processor() -> str:
    """Name of the processor, usable cores, and the widest instruction set that matters here."""
    lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "?")
    flags = {flag for line in lines if line.startswith("flags") for flag in line.split()}
    widest = next((flag for flag in ("amx_bf16", "avx512_bf16", "avx512f", "avx2") if flag in flags), "?")
    return f"{name}, {len(os.sched_getaffinity(0))} cores, {widest}"


def today() -> str:
    """The current date in UTC, as 2026-11-28."""
    return datetime.now(UTC).date().isoformat()


def save(name: str, figures: dict[str, Any]) -> None:
    """Print the figures and write them to ``results/NAME.json``; a part of NAME after ``-`` is a variant."""
    content = {
        "command": shlex.join(["benchmarks/run.sh", name.partition("-")[0], *sys.argv[1:]]),
        "version": version(),
        "date": today(),
        "processor": processor(),
        "python": platform.python_version(),
        "torch": metadata.version("torch"),
        **figures,
    }
    text = json.dumps(content, indent=2) + "\n"
    (RESULTS / f"{name}.json").write_text(text, "utf-8")
    sys.stdout.write(text)
