"""``docker run IMAGE train``, as SageMaker starts it: with its own program and with a user's script."""

import json
from pathlib import Path

import pytest

from tests.image.conftest import OptMl
from tests.image.containers import Container

# What the toolkit logs when a training fails.
FAILURE = ("Reporting training FAILURE", "Encountered exit_code 1")

SCRIPT = """
import argparse, os, pathlib, signal, sys, time
parser = argparse.ArgumentParser()
parser.add_argument("--epochs", type=int)
parser.add_argument("--then", default="end")
arguments, _ = parser.parse_known_args()
model = pathlib.Path(os.environ["SM_MODEL_DIR"])

def save(*_):
    time.sleep(2)
    (model / "saved").write_text(str(arguments.epochs))
    sys.exit(0)

if arguments.then == "fail":
    sys.exit("no luck")
if arguments.then == "wait":
    signal.signal(signal.SIGTERM, save)
    print("waiting", flush=True)
    time.sleep(300)
save()
"""


@pytest.fixture
def own_script(opt_ml: OptMl) -> OptMl:
    """Makes a folder to mount as /opt/ml for a job with a script of its own, as the SDK's entry_point."""

    def make(**hyperparameters: str) -> Path:
        source = {"sagemaker_program": '"mine.py"', "sagemaker_submit_directory": "/opt/ml/input/data/source"}
        folder = opt_ml(**source, **hyperparameters)
        (folder / "input" / "data" / "source").mkdir()
        (folder / "input" / "data" / "source" / "mine.py").write_text(SCRIPT)
        return folder

    return make


def test_leaves_an_artifact(trained: Path) -> None:
    files = {path.name for path in (trained / "model").iterdir()}
    assert files == {"model.safetensors", "model.json", "vocabulary.json"}


def test_leaves_metrics(trained: Path) -> None:
    metrics = json.loads((trained / "output" / "data" / "metrics.json").read_text())
    assert metrics


def test_leaves_a_report_with_every_picture(trained: Path) -> None:
    """The image has only a part of matplotlib."""
    page = (trained / "output" / "data" / "report.html").read_text("utf-8")
    pictures = list((trained / "output" / "data" / "report").glob("*.png"))
    assert page.count("<img ") == len(pictures) > 0


def test_leaves_no_failure_file_after_a_success(trained: Path) -> None:
    assert not (trained / "output" / "failure").exists()


def test_a_wrong_hyperparameter_ends_with_1_and_its_name_in_the_failure_file(
    image: str, opt_ml: OptMl
) -> None:
    folder = opt_ml(epochs="many")
    with Container(image, "train", mount=folder, expect=[*FAILURE, "ERROR .*epochs"]) as container:
        assert container.wait() == 1
    assert "epochs" in (folder / "output" / "failure").read_text()


def test_without_a_mounted_folder_says_what_to_do(image: str) -> None:
    with Container(image, "train", expect=["^error: .*hyperparameters.json is missing; mount"]) as container:
        assert container.wait() == 1


def test_a_folder_for_results_that_cannot_be_made_is_no_success(image: str, opt_ml: OptMl) -> None:
    folder = opt_ml()
    (folder / "output").rmdir()
    mount = ["--volume", f"{folder}:/opt/ml:ro"]
    with Container(image, "train", options=mount, expect=["^error: /opt/ml/output: Read-only"]) as container:
        assert container.wait() == 1


def test_a_folder_for_results_that_cannot_be_written_is_no_success(image: str, opt_ml: OptMl) -> None:
    """Where the toolkit would end with 0, because it cannot write the failure file."""
    folder = opt_ml(epochs="many")
    (folder / "code").mkdir()
    mount = ["--volume", f"{folder}:/opt/ml:ro"]
    with Container(
        image, "train", options=mount, expect=["^error: /opt/ml/output/.*: Read-only"]
    ) as container:
        assert container.wait() == 1


def test_works_with_a_read_only_file_system(image: str, opt_ml: OptMl) -> None:
    folder = opt_ml()
    options = ["--read-only", "--tmpfs", "/tmp"]  # noqa: S108
    with Container(image, "train", mount=folder, options=options) as container:
        assert container.wait() == 0
    assert (folder / "model" / "model.safetensors").exists()


def test_runs_a_users_own_script(image: str, own_script: OptMl) -> None:
    """And needs no --hostname for it, though the toolkit waits until the host's name can be resolved."""
    folder = own_script(epochs="7")
    with Container(image, "train", mount=folder, options=["--network", "none"]) as container:
        assert container.wait(60) == 0
    assert (folder / "model" / "saved").read_text() == "7"


def test_a_users_own_script_that_fails_fails_the_job(image: str, own_script: OptMl) -> None:
    folder = own_script(then="fail")
    expect = [*FAILURE, "ERROR +ExecuteUserScriptError", "no luck"]
    with Container(image, "train", mount=folder, expect=expect) as container:
        assert container.wait(60) == 1
    assert "ExitCode 1" in (folder / "output" / "failure").read_text()


def test_a_users_own_script_can_save_its_work_when_stopped(image: str, own_script: OptMl) -> None:
    folder = own_script(epochs="7", then="wait")
    with Container(image, "train", mount=folder) as container:
        container.wait_for("waiting")
        assert container.stop(60) == 0
    assert (folder / "model" / "saved").read_text() == "7"
