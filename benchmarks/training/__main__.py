"""Training speed, compared with the same network trained the way tutorials do.

    benchmarks/run.sh training

Reviews per second of the first epoch on the 25,000 reviews, less a tenth: the preset ``baseline`` and
``plain.py``, which have the same network and sizes, in turn and in each precision, each in a process of its
own. The result of a precision that the hardware lacks is null. Runs on a GPU if there is one.
"""

import re
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import torch

from benchmarks.harness import alternate, job_environment, link_reviews, save, train_command
from benchmarks.training.plain import BASELINE
from byoc.distributed.process_group import SINGLE_PROCESS
from byoc.errors import TrainingError
from sentiment.model.precision import Hardware

PRECISIONS = ("fp32", "bf16", "fp16")
_EPOCH = re.compile(r"epoch=1;.* reviews_per_second=(\d+);")


def speed(command: list[str], base: Path) -> float:
    """Run a program that prints a line per epoch, and kill it after the first.

    Returns:
        Reviews per second of that epoch.
    """
    with subprocess.Popen(command, env=job_environment(base), stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout or ():
            sys.stderr.write(line)
            if epoch := _EPOCH.match(line):
                process.kill()
                return float(epoch[1])
    raise SystemExit(f"error: {command} failed; its messages are above")


def is_supported(precision: str) -> bool:
    """Whether the hardware has a precision."""
    try:
        return Hardware.from_device(SINGLE_PROCESS.device).resolve(precision) == precision
    except TrainingError:
        return False


if __name__ == "__main__":
    device = Hardware.from_device(SINGLE_PROCESS.device).name
    figures: dict[str, Any] = {"device": device, "threads": torch.get_num_threads(), "seed": BASELINE.seed}
    with tempfile.TemporaryDirectory() as temporary:
        base = Path(temporary)
        link_reviews(base)
        for precision in PRECISIONS:
            commands = {
                "shipped": train_command(preset="baseline", precision=precision),
                "plain": [sys.executable, "-m", "benchmarks.training.plain", precision],
            }
            sides = {side: partial(speed, command, base) for side, command in commands.items()}
            figures[precision] = alternate(sides) if is_supported(precision) else None
    save("training", figures)
