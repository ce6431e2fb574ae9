"""The scripts of local_test in a copy of the repository."""

import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.conftest import PLAIN, write_csv
from tests.support.programs import ROOT, free_port

pytestmark = pytest.mark.whole_path

QUICK = PLAIN | {"epochs": "1", "hidden_dim": "4", "embedding_dim": "4", "vocab_size": "500"}
TRAIN = [f"--{name}={value}" for name, value in QUICK.items()]


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that git tracks, with the existing .venv."""
    folder = tmp_path_factory.mktemp("clone")
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True)
    for name in listed.stdout.splitlines():
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    (folder / ".venv").symlink_to(ROOT / ".venv")
    return folder


@pytest.fixture(scope="module")
def data(few_reviews: list[tuple[str, str]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    write_csv(folder / "mine.csv", few_reviews)
    return folder


def train(clone: Path, *arguments: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [clone / "local_test" / "train_local.sh", *arguments],
        cwd=cwd, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def trained(clone: Path, data: Path) -> subprocess.CompletedProcess[str]:
    result = train(clone, "--data", data, *TRAIN, cwd=data)
    assert result.returncode == 0, result.stdout + result.stderr
    return result


def test_training_prints_the_next_command(clone: Path, trained: subprocess.CompletedProcess[str]) -> None:
    assert trained.stderr.rstrip().endswith(f"{clone}/local_test/serve_local.sh")
    assert (clone / "local_test" / "test_dir" / "model" / "model.json").is_file()


def test_training_prints_the_path_of_the_report(
    clone: Path, trained: subprocess.CompletedProcess[str]
) -> None:
    (path,) = re.findall(r"^report: +(\S+)$", trained.stderr, re.MULTILINE)
    assert path == f"{clone}/local_test/test_dir/output/data/report.html"
    assert "Training report" in Path(path).read_text("utf-8")


def test_repeated_training_keeps_the_data(
    clone: Path, data: Path, trained: subprocess.CompletedProcess[str]
) -> None:
    assert trained.returncode == 0
    result = train(clone, "--data", data, *TRAIN, cwd=data)
    assert result.returncode == 0
    assert [path.name for path in data.iterdir()] == ["mine.csv"]


def test_unlabeled_option_adds_the_channel(
    clone: Path, data: Path, trained: subprocess.CompletedProcess[str]
) -> None:
    assert "unlabeled: " not in trained.stdout
    result = train(clone, "--data", data, "--unlabeled", data, *TRAIN, cwd=data)
    assert "unlabeled: " in result.stdout
    result = train(clone, "--data", data, *TRAIN, cwd=data)
    assert "unlabeled: " not in result.stdout


def test_pretrained_option_adds_the_channel(
    clone: Path, data: Path, trained: subprocess.CompletedProcess[str], tmp_path: Path
) -> None:
    assert "pretrained: " not in trained.stdout
    model = shutil.copytree(clone / "local_test" / "test_dir" / "model", tmp_path / "model")
    result = train(clone, "--data", data, "--pretrained", model, *TRAIN, cwd=data)
    assert "pretrained: language model of" in result.stdout
    result = train(clone, "--data", data, *TRAIN, cwd=data)
    assert "pretrained: " not in result.stdout


def test_other_files_in_the_channel_survive(clone: Path, data: Path) -> None:
    channel = clone / "local_test" / "test_dir" / "input" / "data" / "training"
    channel.unlink(missing_ok=True)
    write_csv(channel / "precious.csv", [("fine", "1")])
    result = train(clone, "--data", data, *TRAIN, cwd=data)
    assert result.returncode == 1
    assert "has other files" in result.stderr
    assert (channel / "precious.csv").is_file()
    shutil.rmtree(channel)


def test_invalid_hyperparameter_keeps_the_model(
    clone: Path, data: Path, trained: subprocess.CompletedProcess[str]
) -> None:
    assert trained.returncode == 0
    result = train(clone, "--data", data, "--epochs", "0", cwd=data)
    assert result.returncode == 1
    assert "hyperparameter epochs: '0' is not an integer from 1 to 1000" in result.stderr
    assert "Traceback" not in result.stderr
    assert (clone / "local_test" / "test_dir" / "model" / "model.json").is_file()


def test_server_answers_until_ctrl_c(clone: Path, data: Path, tmp_path: Path) -> None:
    assert train(clone, "--data", data, *TRAIN, cwd=data).returncode == 0
    environment = os.environ | {"SAGEMAKER_BIND_TO_PORT": str(free_port())}
    local_test = clone / "local_test"
    log = tmp_path / "log"
    with log.open("w") as output:
        server = subprocess.Popen(
            [local_test / "serve_local.sh"], env=environment, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        answers = [ask(local_test, f"payload.{ending}", environment) for ending in ("json", "csv", "txt")]
    finally:
        server.send_signal(signal.SIGINT)
        code = server.wait(30)
    assert code == 0, log.read_text()
    assert [len(re.findall("positive|negative", answer)) for answer in answers] == [2, 2, 1]


def ask(local_test: Path, payload: str, environment: dict[str, str]) -> str:
    """Output of predict.sh, when the server is ready."""
    deadline = time.monotonic() + 60
    while True:
        result = subprocess.run(
            [local_test / "predict.sh", local_test / payload],
            env=environment, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        if result.returncode == 0:
            return result.stdout
        assert time.monotonic() < deadline, result.stderr
        time.sleep(0.5)
