"""What every benchmark writes down: the figures, and where, when and with what they were measured."""

import json
import os
import platform
import shlex
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
REVIEWS = ROOT / ".cache" / "reviews.csv"


def processor() -> str:
    """What the figures were measured on: name, cores, and the widest arithmetic that matters here."""
    lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "?")
    flags = {flag for line in lines if line.startswith("flags") for flag in line.split()}
    widest = next((flag for flag in ("amx_bf16", "avx512_bf16", "avx512f", "avx2") if flag in flags), "?")
    return f"{name}, {len(os.sched_getaffinity(0))} cores, {widest}"


def save(name: str, figures: dict[str, Any], arguments: Sequence[str] | None = None) -> None:
    """Print the figures, and keep them in ``results/NAME.json``.

    Args:
        name: of the benchmark.
        figures: what was measured.
        arguments: of its command, if others than those that it was given are to be kept.
    """
    content = {
        "command": shlex.join(
            ["benchmarks/run.sh", name, *(sys.argv[1:] if arguments is None else arguments)]
        ),
        "date": datetime.now(UTC).date().isoformat(),
        "processor": processor(),
        "python": platform.python_version(),
        "torch": version("torch"),
        **figures,
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(content, indent=2) + "\n", "utf-8")
    json.dump(content, sys.stdout, indent=2)
    print()
