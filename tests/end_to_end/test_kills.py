"""A job that is killed at random times and resumed ends with the weights of an uninterrupted job.

``KILLS`` is the number of kills (default 10): ``KILLS=200 scripts/test -s tests/end_to_end/test_kills.py``.
"""

import json
import os
import random
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import PLAIN, make_base
from tests.support.programs import start_train

pytestmark = pytest.mark.whole_path

KILLS = int(os.environ.get("KILLS", "10"))
# Long enough to be hit several times, with a checkpoint about every third step.
HYPERPARAMETERS = PLAIN | {
    "epochs": "12",
    "patience": "12",
    "hidden_dim": "16",
    "embedding_dim": "16",
    "batch_size": "16",
    "checkpoint_interval_minutes": "0.001",
}
SUM = {
    "epochs": "6",
    "pretraining_epochs": "3",
    "pretraining_batch_size": "16",
    "ngram_weight": "1",
    "pooling": "mean-max",
    "embedding_lr_scale": "0.5",
    "word_dropout": "0.1",
    "ema_decay": "0.99",
}


def start(base: Path) -> subprocess.Popen[str]:
    """Start the job; returns when its data is loaded."""
    process = start_train(base)
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("validation: "):
            return process
    pytest.fail(str(process.communicate()))


def files(base: Path) -> dict[str, Any]:
    """The weights, the vocabulary and the losses of each epoch, which must be identical."""
    epochs = json.loads((base / "output" / "data" / "metrics.json").read_text())["epochs"]
    return {
        "weights": (base / "model" / "model.safetensors").read_bytes(),
        "vocabulary": (base / "model" / "vocabulary.json").read_bytes(),
        "losses": [(epoch["train_loss"], epoch["validation_loss"]) for epoch in epochs],
    }


def empty(base: Path) -> None:
    """Remove the results of the job."""
    for name in ("checkpoints", "model", "output"):
        shutil.rmtree(base / name, ignore_errors=True)
    (base / "checkpoints").mkdir()
    (base / "output").mkdir()


@pytest.mark.parametrize(
    ("more", "times"), [({}, KILLS // 2), (SUM, KILLS // 2)], ids=["plain", "pretrained sum"]
)
def test_killed_job_resumes_bit_identically(
    few_reviews: list[tuple[str, str]], tmp_path: Path, more: dict[str, str], times: int
) -> None:
    base = make_base(tmp_path, HYPERPARAMETERS | more, training=few_reviews, unlabeled=few_reviews[:50])
    empty(base)
    with start(base) as process:
        begin = time.monotonic()
        assert process.wait(120) == 0
        seconds = time.monotonic() - begin
    expected = files(base)

    generator = random.Random(1)
    kills = finished = 0
    empty(base)
    while kills < times:
        with start(base) as process:
            try:
                code = process.wait(generator.uniform(0, 0.35 * seconds))
            except subprocess.TimeoutExpired:
                process.kill()
                kills += 1
                continue
        assert code == 0
        assert files(base) == expected
        finished += 1
        empty(base)
    with start(base) as process:
        assert process.wait(120) == 0
    assert files(base) == expected
    print(f"{kills} kills, {finished + 1} jobs, all with the weights of the uninterrupted job")
