"""From a few hundred real reviews to answers over HTTP, through the programs that SageMaker runs."""

import csv
import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import make_base
from programs import Server, run_train, start_train
from sentiment.predictor import Predictor

pytestmark = pytest.mark.whole_path

HYPERPARAMETERS = {"epochs": "3", "hidden_dim": "16", "embedding_dim": "16", "learning_rate": '"0.01"'}
TEXTS = ["A wonderful film, I loved it.", 'Dull, "empty",\nand far too long.']


@pytest.fixture(scope="module")
def base(few_reviews: list[tuple[str, str]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in the layout of /opt/ml."""
    folder = make_base(tmp_path_factory.mktemp("ml"), HYPERPARAMETERS, training=few_reviews)
    (folder / "model").mkdir()
    return folder


@pytest.fixture(scope="module")
def trained(base: Path) -> subprocess.CompletedProcess[str]:
    result = run_train(base)
    assert result.returncode == 0, result.stdout + result.stderr
    return result


@pytest.fixture(scope="module")
def server(
    base: Path, trained: subprocess.CompletedProcess[str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    assert trained.returncode == 0
    running = Server(base, tmp_path_factory.mktemp("log") / "serve.log")
    yield running
    assert running.stop() == 0, running.log


def test_training_prints_a_line_an_epoch(trained: subprocess.CompletedProcess[str]) -> None:
    pattern = r"^epoch=\d; train_loss=[\d.]+; validation_loss=[\d.]+; validation_accuracy=[\d.]+; "
    assert len(re.findall(pattern, trained.stdout, re.MULTILINE)) == 3


def test_training_shows_no_progress_bar_in_a_log(trained: subprocess.CompletedProcess[str]) -> None:
    assert "\r" not in trained.stdout + trained.stderr


def test_training_leaves_model_metrics_and_predictions(
    base: Path, trained: subprocess.CompletedProcess[str]
) -> None:
    assert trained.returncode == 0
    assert sorted(path.name for path in (base / "model").iterdir()) == [
        "model.json", "model.safetensors", "vocabulary.json",
    ]  # fmt: skip
    metrics = json.loads((base / "output" / "data" / "metrics.json").read_text())
    with (base / "output" / "data" / "predictions.csv").open(newline="") as stream:
        assert len(list(csv.DictReader(stream))) == metrics["validation"]["reviews"]
    assert not (base / "output" / "failure").exists()


def test_model_gives_in_serving_what_it_gave_in_training(
    base: Path, trained: subprocess.CompletedProcess[str], few_reviews: list[tuple[str, str]]
) -> None:
    assert trained.returncode == 0
    with (base / "output" / "data" / "predictions.csv").open(newline="") as stream:
        recorded = {float(row["probability"]) for row in csv.DictReader(stream)}
    served = {
        p.probability for p in Predictor.load(base / "model").predict([text for text, _ in few_reviews])
    }
    assert recorded
    for probability in recorded:
        assert min(abs(probability - other) for other in served) < 2e-6


@pytest.mark.parametrize(
    ("argument", "cause"),
    [
        ("--epochs=0", "hyperparameter epochs: '0' is not an integer from 1 to 1000"),
        ("--batch_size=5000", "channel training: "),
    ],
)
def test_failed_training_exits_with_1_and_tells_the_cause(
    few_reviews: list[tuple[str, str]], tmp_path: Path, argument: str, cause: str
) -> None:
    result = run_train(make_base(tmp_path, HYPERPARAMETERS, training=few_reviews), argument)
    assert result.returncode == 1
    assert cause in result.stderr
    assert "Traceback" not in result.stderr
    assert (tmp_path / "output" / "failure").read_text().startswith(cause)


def test_interrupted_training_is_a_failure(base: Path, tmp_path: Path) -> None:
    (tmp_path / "input").symlink_to(base / "input")
    with start_train(tmp_path, "--epochs=1000", "--patience=1000") as process:
        assert process.stdout is not None
        while not process.stdout.readline().startswith("epoch=1;"):
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
    assert process.returncode == 1
    assert (tmp_path / "output" / "failure").read_text() == "interrupted; no model was saved"
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", json.dumps({"inputs": TEXTS})),
        ("application/json", json.dumps({"instances": [{"text": text} for text in TEXTS]})),
        ("application/jsonlines", "\n".join(json.dumps({"text": text}) for text in TEXTS)),
        ("text/csv", '"A wonderful film, I loved it."\n"Dull, ""empty"",\nand far too long."\n'),
        ("Application/JSON; charset=utf-8", json.dumps(TEXTS)),
    ],
)
def test_every_content_type_gives_the_probabilities_of_the_library(
    server: Server, base: Path, content_type: str, body: str
) -> None:
    status, _, answer = server.ask(
        body.encode(), {"content-TYPE": content_type, "Accept": "application/json"}
    )
    assert status == 200
    expected = [round(p.probability, 6) for p in Predictor.load(base / "model").predict(TEXTS)]
    actual = [record["probability"] for record in json.loads(answer)]
    assert actual == pytest.approx(expected, abs=2e-6)


def test_plain_text_is_one_review(server: Server) -> None:
    status, content_type, answer = server.ask(TEXTS[1].encode(), {"Content-Type": "text/plain"})
    assert (status, content_type) == (200, "application/json")
    assert len(json.loads(answer)) == 1


@pytest.mark.parametrize(
    ("accept", "lines"), [("application/jsonlines", 2), ("text/csv", 2), ("application/json", 1)]
)
def test_answer_is_what_accept_asks_for(server: Server, accept: str, lines: int) -> None:
    headers = {"Content-Type": "application/json", "Accept": accept}
    status, content_type, answer = server.ask(json.dumps(TEXTS).encode(), headers)
    assert (status, content_type) == (200, accept)
    assert len(answer.split(b"\n")) == lines


@pytest.mark.parametrize(
    ("headers", "body", "expected"),
    [
        ({"Content-Type": "application/x-npy"}, b"\x93NUMPY", 415),
        ({"Content-Type": "application/x-www-form-urlencoded"}, b"text=fine", 415),
        ({"Content-Type": "application/json", "Accept": "image/png"}, b'"fine"', 406),
        ({"Content-Type": "application/json"}, b'{"inputs": 3}', 400),
        ({"Content-Type": "text/csv"}, b"a,b\nc,d\n", 400),
    ],
)
def test_refusal_has_a_reason_and_no_traceback(
    server: Server, headers: dict[str, str], body: bytes, expected: int
) -> None:
    status, content_type, answer = server.ask(body, headers)
    assert (status, content_type) == (expected, "application/json")
    assert json.loads(answer)["error"]
    assert b"Traceback" not in answer


def test_body_of_20_mib_is_answered(server: Server) -> None:
    body = b"dull " * (4 * 2**20)
    assert server.ask(body, {"Content-Type": "text/plain"})[0] == 200


def test_management_is_not_on_the_public_port(server: Server) -> None:
    server.ask(b"fine", {"Content-Type": "text/plain"})
    assert server.request("GET", "/models")[0] == 404


@pytest.fixture
def other_server(base: Path, trained: subprocess.CompletedProcess[str], tmp_path: Path) -> Iterator[Server]:
    """A server of the test's own."""
    assert trained.returncode == 0
    running = Server(base, tmp_path / "serve.log", SAGEMAKER_MODEL_SERVER_WORKERS="1")
    yield running
    if running.process.poll() is None:
        running.stop()


def is_running(pid: int) -> bool:
    """Whether a process exists, and not only because nobody has asked for its exit code."""
    status = Path(f"/proc/{pid}/status")
    return status.exists() and "State:\tZ" not in status.read_text()


def test_stopped_server_leaves_nothing_behind(other_server: Server) -> None:
    other_server.ask(b"fine", {"Content-Type": "text/plain"})
    # A folder that the server made and printed, not one made here.
    match = re.search(r"/tmp/serve-\w+", other_server.log)  # noqa: S108
    assert match is not None
    pid = int(re.search(r"\[PID\] ?(\d+)", other_server.log)[1])  # type: ignore[index]
    assert other_server.stop() == 0
    assert not Path(match[0]).exists()
    assert not is_running(pid)


def test_server_that_dies_is_no_success(other_server: Server) -> None:
    other_server.ask(b"fine", {"Content-Type": "text/plain"})
    children = Path(f"/proc/{other_server.process.pid}/task/{other_server.process.pid}/children")
    os.kill(int(children.read_text().split()[0]), signal.SIGKILL)
    assert other_server.process.wait(30) == 1
    assert other_server.log.splitlines()[-1] == "error: the model server ended by itself with exit code -9"
