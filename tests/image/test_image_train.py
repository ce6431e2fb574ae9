"""``docker run IMAGE train``, as SageMaker starts it: with its own program and with a user's script."""

import json
from pathlib import Path

import pytest

from tests.image.conftest import OptMl
from tests.image.containers import Container, run

# Lines of the toolkit after a failed training.
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
    """A function that creates a folder for /opt/ml with a user's script, like the SDK's entry_point."""

    def make(**hyperparameters: str) -> Path:
        source = {"sagemaker_program": '"mine.py"', "sagemaker_submit_directory": "/opt/ml/input/data/source"}
        folder = opt_ml(**source, **hyperparameters)
        (folder / "input" / "data" / "source").mkdir()
        (folder / "input" / "data" / "source" / "mine.py").write_text(SCRIPT)
        return folder

    return make


def test_training_leaves_an_artifact(trained: Path) -> None:
    files = {path.name for path in (trained / "model").iterdir()}
    assert files == {"artifact.json", "model.safetensors", "model.json", "vocabulary.json"}


def test_training_leaves_metrics(trained: Path) -> None:
    metrics = json.loads((trained / "output" / "data" / "metrics.json").read_text())
    assert metrics


def test_training_leaves_report_with_pictures(trained: Path) -> None:
    """The image has only a part of matplotlib."""
    page = (trained / "output" / "data" / "report.html").read_text("utf-8")
    assert page.count("<img ") == 8


def test_success_leaves_no_failure_file(trained: Path) -> None:
    assert not (trained / "output" / "failure").exists()


def test_invalid_hyperparameter_is_in_failure_file(image: str, opt_ml: OptMl) -> None:
    folder = opt_ml(epochs="many")
    with Container(image, "train", mount=folder, expect=[*FAILURE, "ERROR .*epochs"]) as container:
        assert container.wait() == 1
    assert "epochs" in (folder / "output" / "failure").read_text()


def test_missing_mount_is_an_error(image: str) -> None:
    with Container(image, "train", expect=["^error: .*hyperparameters.json is missing; mount"]) as container:
        assert container.wait() == 1


def test_help_needs_no_mount(image: str) -> None:
    assert "--epochs" in run(image, "train", "--help")


def test_user_without_access_is_named(image: str, opt_ml: OptMl) -> None:
    expected = ["^error: /opt/ml/output: .*; run the container as root, or mount a folder"]
    with Container(image, "train", mount=opt_ml(), options=["--user=1000"], expect=expected) as container:
        assert container.wait() == 1


def test_missing_output_folder_is_no_success(image: str, opt_ml: OptMl) -> None:
    folder = opt_ml()
    (folder / "output").rmdir()
    mount = ["--volume", f"{folder}:/opt/ml:ro"]
    with Container(image, "train", options=mount, expect=["^error: /opt/ml/output: Read-only"]) as container:
        assert container.wait() == 1


def test_read_only_output_is_no_success(image: str, opt_ml: OptMl) -> None:
    """The toolkit alone would exit with 0, because it cannot write the failure file."""
    folder = opt_ml(epochs="many")
    (folder / "code").mkdir()
    mount = ["--volume", f"{folder}:/opt/ml:ro"]
    with Container(
        image, "train", options=mount, expect=["^error: /opt/ml/output/.*: Read-only"]
    ) as container:
        assert container.wait() == 1


def test_training_runs_on_read_only_files(image: str, opt_ml: OptMl) -> None:
    folder = opt_ml()
    options = ["--read-only", "--tmpfs", "/tmp"]  # noqa: S108
    with Container(image, "train", mount=folder, options=options) as container:
        assert container.wait() == 0
    assert (folder / "model" / "model.safetensors").exists()


def test_user_script_is_run(image: str, own_script: OptMl) -> None:
    """Without --hostname, although the toolkit waits until the host's name can be resolved."""
    folder = own_script(epochs="7")
    with Container(image, "train", mount=folder, options=["--network", "none"]) as container:
        assert container.wait(60) == 0
    assert (folder / "model" / "saved").read_text() == "7"


def test_failing_user_script_fails_the_job(image: str, own_script: OptMl) -> None:
    folder = own_script(then="fail")
    expect = [*FAILURE, "ERROR +ExecuteUserScriptError", "no luck"]
    with Container(image, "train", mount=folder, expect=expect) as container:
        assert container.wait(60) == 1
    assert "ExitCode 1" in (folder / "output" / "failure").read_text()


def test_stopped_user_script_saves_its_work(image: str, own_script: OptMl) -> None:
    folder = own_script(epochs="7", then="wait")
    with Container(image, "train", mount=folder) as container:
        container.wait_for("waiting")
        assert container.stop(60) == 0
    assert (folder / "model" / "saved").read_text() == "7"
