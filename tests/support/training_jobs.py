"""Training jobs of seconds, stopped at any point."""

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from byoc.hyperparameters import parse_hyperparameters
from byoc.job import Job
from byoc.opt_ml import OptMl
from byoc.signals import StopFlag
from sentiment.hyperparameters import Hyperparameters
from sentiment.training import run as training
from sentiment.training.optimizer import Optimization

REVIEWS = [(f"film{i} good" if i % 2 else f"film{i} bad", str(i % 2)) for i in range(64)]
Run = Callable[..., Path]


def train(folder: Path) -> Path:
    """Run the job of a folder, again where it has run before."""
    opt_ml, stop = OptMl(folder), StopFlag()
    stop.listen()
    values = parse_hyperparameters(Hyperparameters, opt_ml.hyperparameters())
    training.train(Job("sentiment", opt_ml, values, stop))
    return folder


def metrics(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "output" / "data" / "metrics.json").read_text())
    return content


def weights(folder: Path) -> bytes:
    return (folder / "model" / "model.safetensors").read_bytes()


def stop_at(monkeypatch: pytest.MonkeyPatch, module: object, name: str, call: int = 1) -> None:
    """Send SIGTERM at the given call of a function."""
    function, calls = getattr(module, name), iter(range(1, call))

    def stopping(*arguments: Any, **named: Any) -> Any:
        if next(calls, None) is None:
            os.kill(os.getpid(), signal.SIGTERM)
        return function(*arguments, **named)

    monkeypatch.setattr(module, name, stopping)


def run_until_step(monkeypatch: pytest.MonkeyPatch, step: int, run: Callable[[], object]) -> None:
    """Run a job that is stopped in one of its 16 optimizer steps."""
    with monkeypatch.context() as patch:
        stop_at(patch, Optimization, "step", step)
        run()
