"""Train, resume and predict on the GPUs of this machine, and print a table; scripts/check-gpu.sh starts it.

    check_gpu.py [--cpu] REVIEWS.csv [--HYPERPARAMETER=VALUE ...]

For each precision, on one GPU and on all (with NCCL): a job is stopped after its first epoch and resumed for
a second one, and its model predicts 500 reviews on a GPU and, in fp32, on the CPU. --cpu takes processes on
the CPU in place of GPUs, to try the check itself. Exits with 1 if a row is not ok.
"""

import csv
import importlib.util
import itertools
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch

from byoc.package import import_package
from byoc.version import version

PRECISIONS = ("fp32", "fp16", "bf16")
TEXTS = 500
# Largest difference of a probability from the CPU's in fp32.
TOLERANCES = {"fp32": 0.001, "fp16": 0.01, "bf16": 0.05}
HEADER = (
    "precision | devices | training reviews/s | accuracy | resumed | prediction reviews/s | difference | ok"
)
_EPOCH = re.compile(r"epoch=(\d+);.* validation_accuracy=([\d.]+);.* reviews_per_second=(\d+);")


class Epoch(NamedTuple):
    """Figures of an epoch, from its line in the log."""

    number: int
    accuracy: float
    reviews_per_second: int


def run_job(base: Path, arguments: Sequence[str], stop: bool, **variables: str) -> tuple[list[Epoch], str]:
    """Epochs of a job, and its last line if it failed. ``stop``: it is stopped after its first epoch."""
    environment = {**os.environ, "SAGEMAKER_BASE_DIR": str(base), "PYTHONUNBUFFERED": "1", **variables}
    spec = importlib.util.find_spec("train")
    assert spec is not None
    command = [sys.executable, str(spec.origin), *arguments]
    options: Any = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    epochs, line = [], ""
    with subprocess.Popen(command, env=environment, **options) as job:
        for line in job.stdout or ():
            sys.stderr.write(line)
            if match := _EPOCH.match(line):
                epochs.append(Epoch(int(match[1]), float(match[2]), int(match[3])))
                if stop:
                    job.send_signal(signal.SIGTERM)
    return epochs, line.strip() if job.returncode else ""


def predict(folder: Path, device: str, precision: str, texts: Sequence[str]) -> tuple[list[float], float]:
    """Probabilities of "positive", and texts per second."""
    model = import_package().load(folder, device, precision)
    model.predict(texts[:64])
    start = time.perf_counter()
    batches = [model.predict(texts[i : i + 64]) for i in range(0, len(texts), 64)]
    seconds = time.perf_counter() - start
    return [float(result["probability"]) for result in itertools.chain(*batches)], len(texts) / seconds


def check(reviews: Path, precision: str, count: int, arguments: Sequence[str], cpu: bool) -> str:
    """A row of the table: this precision on ``count`` devices."""
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        for name in ("input/data/training", "checkpoints"):
            (base / name).mkdir(parents=True)
        (base / "input/data/training/reviews.csv").symlink_to(reviews.resolve())
        processes = f"--processes_per_host={count if cpu else 0}"
        options = ["--epochs=2", *arguments, f"--precision={precision}", processes]
        variables = {"CUDA_VISIBLE_DEVICES": "0"} if count == 1 else {}
        first, fault = run_job(base, options, stop=True, **variables)
        second, later_fault = ([], "") if fault else run_job(base, options, stop=False, **variables)
        if not (first and second):
            return f"{precision} | {count} | | | | | {fault or later_fault or 'no second epoch'} | no"
        with reviews.open(newline="", encoding="utf-8") as stream:
            texts = [row["text"] for row in itertools.islice(csv.DictReader(stream), TEXTS)]
        expected, _ = predict(base / "model", "cpu", "fp32", texts)
        actual, rate = predict(base / "model", "cpu" if cpu else "cuda:0", precision, texts)
    difference = max(abs(a - b) for a, b in zip(actual, expected, strict=True))
    resumed = "yes" if second[0].number == first[-1].number + 1 else "no"
    ok = "yes" if resumed == "yes" and difference <= TOLERANCES[precision] else "no"
    figures = (precision, count, second[-1].reviews_per_second, second[-1].accuracy, resumed, round(rate))
    return " | ".join(map(str, (*figures, f"{difference:.5f}", ok)))


def main(arguments: list[str]) -> int:
    """Check everything; returns the exit code."""
    if cpu := "--cpu" in arguments:
        arguments.remove("--cpu")
    count = 2 if cpu else torch.cuda.device_count()
    if not count:
        print("error: torch finds no GPU; run this on a machine with one, or use --cpu", file=sys.stderr)
        return 1
    device = "CPU processes" if cpu else torch.cuda.get_device_name()
    runs = itertools.product(PRECISIONS[:1] if cpu else PRECISIONS, sorted({1, count}))
    rows = [check(Path(arguments[0]), precision, number, arguments[1:], cpu) for precision, number in runs]
    print(f"version {version()}, torch {torch.__version__}, CUDA {torch.version.cuda}, {count} {device}\n")
    for row in (HEADER, " | ".join(["---"] * len(HEADER.split(" | "))), *rows):
        print(f"| {row} |")
    return int(not all(row.endswith("yes") for row in rows))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
