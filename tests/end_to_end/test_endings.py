"""How the real ``train`` ends when it is stopped or interrupted."""

import signal
import subprocess
import time
from pathlib import Path

import pytest

from byoc.checkpoints import Checkpoints
from sentiment.model.artifact import load_artifact
from tests.conftest import PLAIN, make_base
from tests.support.programs import start_train

pytestmark = pytest.mark.whole_path

ENDLESS = PLAIN | {
    "epochs": "1000",
    "patience": "1000",
    "hidden_dim": "16",
    "embedding_dim": "16",
    "batch_size": "16",
}


@pytest.fixture
def base(few_reviews: list[tuple[str, str]], tmp_path: Path) -> Path:
    """A folder in the layout of /opt/ml, with checkpoints."""
    folder = make_base(tmp_path, ENDLESS, training=few_reviews)
    (folder / "checkpoints").mkdir()
    return folder


def send_after(base: Path, line: str, number: signal.Signals) -> tuple[subprocess.Popen[str], str, str]:
    """Start ``train``, send it a signal after a line of its output, and wait for its end.

    Returns:
        The process, and all that it wrote to stdout and to stderr.
    """
    with start_train(base) as process:
        assert process.stdout is not None
        seen = ""
        while not seen.splitlines()[-1:] or not seen.splitlines()[-1].startswith(line):
            seen += process.stdout.readline()
            assert process.poll() is None, seen
        process.send_signal(number)
        start = time.monotonic()
        stdout, stderr = process.communicate(timeout=60)  # half of what SageMaker gives
        print(f"{time.monotonic() - start:.1f} s from the signal to the end")
    return process, seen + stdout, stderr


def test_stopped_training_leaves_the_best_model_the_metrics_and_a_checkpoint(base: Path) -> None:
    process, log, _ = send_after(base, "epoch=2;", signal.SIGTERM)
    assert process.returncode == 0
    assert f"the best model so far is in {base / 'model'}; the same job resumes from" in log
    assert load_artifact(base / "model").training["epochs"]
    assert (base / "output" / "data" / "metrics.json").is_file()
    assert Checkpoints(base / "checkpoints", 1).newest()
    assert not (base / "output" / "failure").exists()


def test_training_stopped_while_it_reads_leaves_nothing_and_is_no_failure(base: Path) -> None:
    process, log, _ = send_after(base, "version", signal.SIGTERM)
    assert process.returncode == 0
    assert "\nstopped before the first step: there is nothing to save\n" in log
    assert not (base / "model").exists()
    assert not (base / "output" / "failure").exists()


def test_interrupted_training_is_a_failure_and_keeps_the_best_model(base: Path) -> None:
    process, _, stderr = send_after(base, "epoch=3;", signal.SIGINT)
    assert process.returncode == 1
    assert "Traceback" not in stderr
    assert (base / "output" / "failure").read_text().startswith("interrupted\nstart the job again")
    assert load_artifact(base / "model")
