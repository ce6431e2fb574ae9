"""Training speed, compared with the same network trained the way tutorials do.

    benchmarks/run.sh training [--accuracy 0.85]

Every job trains on the 25,000 reviews in a process of its own and holds out the same tenth, split by text.
First, the reviews per second of the first epoch: the preset ``baseline`` and ``plain.py``, which have the
same network and sizes, in turn and in each precision. The result of a precision that the hardware lacks is
null. Runs on a GPU if there is one.

Then the time from process start to a validation accuracy in fp32, for each preset (``best`` has no unlabeled
reviews here) and for ``plain.py``. It ends after the first epoch with the accuracy, and includes reading and
pretraining.
"""

import argparse
import re
import statistics
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import torch

from benchmarks.harness import alternate, job_environment, link_reviews, save, train_command
from benchmarks.training.plain import BASELINE
from byoc.distributed.process_group import SINGLE_PROCESS
from byoc.errors import TrainingError
from sentiment.hyperparameters import PRESETS
from sentiment.model.precision import Hardware

PRECISIONS = ("fp32", "bf16", "fp16")
_EPOCH = re.compile(r"epoch=(\d+);.* validation_accuracy=([\d.]+);.* reviews_per_second=(\d+);")


def plain_command(precision: str) -> list[str]:
    """The command of plain training."""
    return [sys.executable, "-m", "benchmarks.training.plain", precision]


def watch(command: list[str], base: Path, accuracy: float) -> dict[str, int | None]:
    """Run a program that prints a line per epoch, and kill it once it has reached the accuracy.

    Returns:
        ``seconds`` and ``epoch`` of that, or None if it never did; the median ``reviews_per_second``.
    """
    start = time.perf_counter()
    result: dict[str, int | None] = {"seconds": None, "epoch": None}
    rates = []
    with subprocess.Popen(command, env=job_environment(base), stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout or ():
            sys.stderr.write(line)
            if not (epoch := _EPOCH.match(line)):
                continue
            rates.append(int(epoch[3]))
            if float(epoch[2]) >= accuracy:
                result = {"seconds": round(time.perf_counter() - start), "epoch": int(epoch[1])}
                process.kill()
                break
    if result["seconds"] is None and process.returncode:
        raise SystemExit(f"error: {command} failed; its messages are above")
    return result | {"reviews_per_second": round(statistics.median(rates))}


def speed(command: list[str], base: Path) -> float:
    """Reviews per second of the first epoch."""
    return watch(command, base, 0)["reviews_per_second"] or 0


def is_supported(precision: str) -> bool:
    """Whether the hardware has a precision."""
    try:
        return Hardware.from_device(SINGLE_PROCESS.device).resolve(precision) == precision
    except TrainingError:
        return False


def main() -> None:
    """Measure and save, first the speeds, then the whole jobs too."""
    parser = argparse.ArgumentParser(
        prog="benchmarks/run.sh training", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--accuracy", type=float, default=0.85)
    accuracy = parser.parse_args().accuracy
    device = Hardware.from_device(SINGLE_PROCESS.device).name
    figures = {"device": device, "threads": torch.get_num_threads(), "seed": BASELINE.seed}
    with tempfile.TemporaryDirectory() as temporary:
        base = Path(temporary)
        link_reviews(base)
        for precision in PRECISIONS:
            commands = {
                "shipped": train_command(preset="baseline", precision=precision),
                "plain": plain_command(precision),
            }
            sides = {side: partial(speed, command, base) for side, command in commands.items()}
            figures[precision] = alternate(sides) if is_supported(precision) else None
        save("training", figures)
        jobs = {"plain": plain_command("fp32")}
        jobs |= {preset: train_command(preset=preset, precision="fp32") for preset in PRESETS}
        times = {name: watch(command, base, accuracy) for name, command in jobs.items()}
    save("training", figures | {"time_to_accuracy": {"accuracy": accuracy, **times}})


if __name__ == "__main__":
    main()
