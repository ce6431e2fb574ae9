"""From a few hundred real reviews to answers over HTTP, through the programs that SageMaker runs."""

import csv
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from sentiment.model.predictor import Predictor
from tests.conftest import PLAIN, make_base
from tests.support import clarify
from tests.support.programs import Server, is_alive, run_train

pytestmark = pytest.mark.whole_path

HYPERPARAMETERS = PLAIN | {
    "epochs": "3",
    "hidden_dim": "16",
    "embedding_dim": "16",
    "learning_rate": '"0.01"',
}
TEXTS = ["A wonderful film, I loved it.", 'Dull, "empty",\nand far too long.']


@pytest.fixture(scope="module")
def base(few_reviews: list[tuple[str, str]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in the layout of /opt/ml."""
    channels = {"training": few_reviews, "test": few_reviews[:50]}
    folder = make_base(tmp_path_factory.mktemp("ml"), HYPERPARAMETERS, **channels)
    (folder / "model").mkdir()
    return folder


@pytest.fixture(scope="module")
def trained(base: Path) -> subprocess.CompletedProcess[str]:
    result = run_train(base)
    assert result.returncode == 0, result.stdout + result.stderr
    return result


@pytest.fixture(scope="module")
def server(
    nginx_program: str,
    base: Path,
    trained: subprocess.CompletedProcess[str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Server]:
    assert nginx_program
    assert trained.returncode == 0
    running = Server(base, tmp_path_factory.mktemp("log") / "serve.log")
    yield running
    assert running.stop() == 0, running.log


def test_training_prints_a_line_an_epoch(trained: subprocess.CompletedProcess[str]) -> None:
    pattern = r"^epoch=\d; train_loss=[\d.]+; validation_loss=[\d.]+; validation_accuracy=[\d.]+; "
    assert len(re.findall(pattern, trained.stdout, re.MULTILINE)) == 3


def test_log_has_no_progress_bar(trained: subprocess.CompletedProcess[str]) -> None:
    assert "\r" not in trained.stdout + trained.stderr


def test_training_leaves_model_metrics_and_predictions(
    base: Path, trained: subprocess.CompletedProcess[str]
) -> None:
    assert trained.returncode == 0
    assert sorted(path.name for path in (base / "model").iterdir()) == [
        "artifact.json", "model.json", "model.safetensors", "vocabulary.json",
    ]  # fmt: skip
    metrics = json.loads((base / "output" / "data" / "metrics.json").read_text())
    with (base / "output" / "data" / "predictions.csv").open(newline="") as stream:
        assert len(list(csv.DictReader(stream))) == metrics["validation"]["reviews"] + 50
    assert not (base / "output" / "failure").exists()


def test_report_has_every_plot(base: Path, trained: subprocess.CompletedProcess[str]) -> None:
    assert "cannot write the report" not in trained.stdout
    page = (base / "output" / "data" / "report.html").read_text("utf-8")
    assert page.count("<img ") == 8


def test_serving_repeats_training_predictions(
    base: Path, trained: subprocess.CompletedProcess[str], few_reviews: list[tuple[str, str]]
) -> None:
    assert trained.returncode == 0
    with (base / "output" / "data" / "predictions.csv").open(newline="") as stream:
        recorded = [float(row["probability"]) for row in csv.DictReader(stream) if row["set"] == "test"]
    served = Predictor.load(base / "model").predict([text for text, _ in few_reviews[:50]])
    assert [result["probability"] for result in served] == pytest.approx(recorded, abs=2e-6)


@pytest.mark.parametrize(
    ("argument", "cause"),
    [
        ("--epochs=0", "hyperparameter epochs: '0' is not an integer from 1 to 1000"),
        ("--batch_size=5000", "channel training: "),
    ],
)
def test_failed_training_exits_with_cause(
    few_reviews: list[tuple[str, str]], tmp_path: Path, argument: str, cause: str
) -> None:
    result = run_train(make_base(tmp_path, HYPERPARAMETERS, training=few_reviews), argument)
    assert result.returncode == 1
    assert cause in result.stderr
    assert "Traceback" not in result.stderr
    assert (tmp_path / "output" / "failure").read_text().startswith(cause)


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
def test_content_types_give_equal_probabilities(
    server: Server, base: Path, content_type: str, body: str
) -> None:
    status, _, answer = server.ask(
        body.encode(), {"content-TYPE": content_type, "Accept": "application/json"}
    )
    assert status == 200
    expected = [round(p["probability"], 6) for p in Predictor.load(base / "model").predict(TEXTS)]
    actual = [record["probability"] for record in json.loads(answer)]
    assert actual == pytest.approx(expected, abs=2e-6)


@pytest.mark.parametrize("row", clarify.FORMATS, ids=lambda row: row.content_type)
@pytest.mark.parametrize("count", [1, 2, 500])
def test_clarify_gets_a_probability_per_copy(
    server: Server, base: Path, row: clarify.Format, count: int
) -> None:
    copies = clarify.masked(TEXTS[1] + ' A "quiet" <br /> caf\xe9, and so on.', count)
    headers = {"Content-Type": row.content_type, "Accept": row.accept}
    status, _, answer = server.ask(row.body(copies).encode(), headers)
    assert status == 200
    expected = [result["probability"] for result in Predictor.load(base / "model").predict(copies)]
    assert row.probabilities(answer.decode()) == pytest.approx(expected, abs=2e-6)


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
def test_refusal_has_no_traceback(
    server: Server, headers: dict[str, str], body: bytes, expected: int
) -> None:
    status, content_type, answer = server.ask(body, headers)
    assert (status, content_type) == (expected, "application/json")
    assert json.loads(answer)["error"]
    assert b"Traceback" not in answer


def test_body_of_20_mib_is_answered(server: Server) -> None:
    body = json.dumps(["dull " * 4_000] * 1_050).encode()
    assert len(body) > 20 * 2**20
    status, _, answer = server.ask(body, {"Content-Type": "application/json"})
    assert (status, len(json.loads(answer))) == (200, 1_050)


def test_management_is_not_public(server: Server) -> None:
    server.ask(b"fine", {"Content-Type": "text/plain"})
    assert server.request("GET", "/models")[0] == 404


@pytest.fixture
def other_server(
    nginx_program: str, base: Path, trained: subprocess.CompletedProcess[str], tmp_path: Path
) -> Iterator[Server]:
    """A server of the test's own."""
    assert nginx_program
    assert trained.returncode == 0
    running = Server(base, tmp_path / "serve.log", SAGEMAKER_MODEL_SERVER_WORKERS="1")
    yield running
    if running.process.poll() is None:
        running.stop()


def test_stopped_server_leaves_nothing_behind(other_server: Server) -> None:
    other_server.ask(b"fine", {"Content-Type": "text/plain"})
    processes = psutil.Process(other_server.process.pid).children(recursive=True)
    # Java, the parent of its worker, the worker; the master and the workers of nginx.
    assert len(processes) >= 5
    folder = next(argument for argument in processes[0].cmdline() if "java.io.tmpdir" in argument)
    assert other_server.stop() == 0
    assert not Path(folder.partition("=")[2]).exists()
    assert [process for process in processes if is_alive(process)] == []


def test_server_that_dies_is_no_success(other_server: Server) -> None:
    other_server.ask(b"fine", {"Content-Type": "text/plain"})
    java = next(
        process for process in psutil.Process(other_server.process.pid).children() if "java" in process.name()
    )
    java.kill()
    assert other_server.process.wait(30) == 1
    assert other_server.log[-1]["message"] == "the model server ended by itself, by signal SIGKILL"
