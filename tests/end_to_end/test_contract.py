"""The contract of SageMaker, through the real programs, with each model package.

One job per package trains and is stopped; its model is served. The packages run at the same time.
"""

import csv
import io
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sized
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import pytest

from byoc.artifact import MANIFEST, check_artifact
from tests.conftest import PLAIN, make_base
from tests.support.programs import ROOT, Server, start_train

pytestmark = pytest.mark.whole_path

TEXTS = ["A wonderful film, I loved it.", 'Dull, "empty",\nand far too long.']
JSON, JSON_LINES, CSV, TEXT = "application/json", "application/jsonlines", "text/csv", "text/plain"


class Package(NamedTuple):
    """A model package and hyperparameters with which a job lasts until it is stopped.

    Attributes:
        folder: its parent.
        progress: beginning of the line after which the job has a model.
        farewell: part of the output of a stopped job.
        typo: a misspelled hyperparameter, and the suggestion for it.
        invalid: a hyperparameter for which -1 is out of range.
        model: the largest file of the artifact.
        keys: of an answer.
    """

    folder: Path
    hyperparameters: Mapping[str, str]
    progress: str
    farewell: str
    typo: tuple[str, str]
    invalid: str
    model: str = "model.safetensors"
    keys: tuple[str, ...] = ("label", "probability")


SENTIMENT = PLAIN | {"epochs": "1000", "patience": "1000", "hidden_dim": "16", "embedding_dim": "16"}
TOY = {"epochs": "1000", "pause": "0.05"}
TFIDF = {"slices": "1000", "C": "1000", "ngrams": "3", "min_texts": "1"}
PACKAGES = {
    "sentiment": Package(
        ROOT / "code",
        SENTIMENT,
        "epoch=1;",
        "the best model so far",
        ("poling", "pooling"),
        "epochs",
        keys=("label", "score", "probability"),
    ),
    "tfidf": Package(
        ROOT / "examples", TFIDF, "slice=1;", "stopped; the model is saved", ("ngram", "ngrams"), "slices"
    ),
    "tests.support.toy": Package(
        ROOT,
        TOY,
        "epoch=1;",
        "stopped after epoch",
        ("epoch", "epochs"),
        "epochs",
        "toy.json",
        ("answer", "length"),
    ),
}


def variables(name: str) -> dict[str, str]:
    """The environment that selects a package."""
    path = f"{ROOT / 'code'}:{PACKAGES[name].folder}"
    return {"PYTHONPATH": path, "MODEL_PACKAGE": name, "SAGEMAKER_MODEL_SERVER_WORKERS": "1"}


class Job(NamedTuple):
    """An ended job."""

    base: Path
    code: int
    output: str

    @property
    def failure(self) -> str | None:
        """The content of the failure file."""
        path = self.base / "output" / "failure"
        return path.read_text() if path.exists() else None


def end(base: Path, process: subprocess.Popen[str], output: str = "") -> Job:
    stdout, stderr = process.communicate(timeout=120)
    return Job(base, process.returncode, output + stdout + stderr)


Bases = Callable[[], dict[str, Path]]


@pytest.fixture(scope="module")
def bases(few_reviews: list[tuple[str, str]], tmp_path_factory: pytest.TempPathFactory) -> Bases:
    """New folders in the layout of /opt/ml, by package."""
    return lambda: {
        name: make_base(tmp_path_factory.mktemp(name), dict(package.hyperparameters), training=few_reviews)
        for name, package in PACKAGES.items()
    }


@pytest.fixture(scope="module")
def stopped_jobs(bases: Bases) -> dict[str, Job]:
    """Jobs with a checkpoint folder that got SIGTERM after their first model."""

    def run(name: str, base: Path) -> tuple[str, Job]:
        (base / "checkpoints").mkdir()
        process = start_train(base, variables=variables(name))
        assert process.stdout is not None
        output = ""
        for line in process.stdout:
            output += line
            if line.startswith(PACKAGES[name].progress):
                process.send_signal(signal.SIGTERM)
                break
        return name, end(base, process, output)

    with ThreadPoolExecutor() as threads:
        return dict(threads.map(run, *zip(*bases().items(), strict=True)))


@pytest.fixture(scope="module")
def resumed_jobs(bases: Bases, stopped_jobs: dict[str, Job]) -> dict[str, Job]:
    """The stopped jobs on a new instance, with their checkpoints alone, stopped while they read a channel.

    A pipe in the channel keeps them reading.
    """
    jobs = {}
    for name, base in bases().items():
        shutil.copytree(stopped_jobs[name].base / "checkpoints", base / "checkpoints")
        os.mkfifo(base / "input" / "data" / "training" / "a.csv")
        jobs[name] = (base, start_train(base, variables=variables(name)))
    for base, process in jobs.values():
        # The pipe opens as soon as the job opens it. A signal between Python's last check and the read that
        # follows would not interrupt the read, and no second one comes.
        with (base / "input" / "data" / "training" / "a.csv").open("w"):
            time.sleep(0.5)
            process.send_signal(signal.SIGTERM)
            process.wait(120)
    return {name: end(*job) for name, job in jobs.items()}


@pytest.fixture(scope="module")
def refused_jobs(bases: Bases) -> dict[str, Job]:
    """Jobs with an unknown and an invalid hyperparameter."""
    jobs = {}
    for name, base in bases().items():
        package = PACKAGES[name]
        arguments = (f"--{package.typo[0]}=1", f"--{package.invalid}=-1")
        jobs[name] = (base, start_train(base, *arguments, variables=variables(name)))
    return {name: end(*job) for name, job in jobs.items()}


@pytest.fixture(params=PACKAGES)
def name(request: pytest.FixtureRequest) -> str:
    """The import name of a package."""
    return str(request.param)


@pytest.fixture
def stopped(stopped_jobs: dict[str, Job], name: str) -> Job:
    return stopped_jobs[name]


@pytest.fixture
def refused(refused_jobs: dict[str, Job], name: str) -> Job:
    return refused_jobs[name]


def test_stopped_job_succeeds(stopped: Job, name: str) -> None:
    assert (stopped.code, stopped.failure) == (0, None), stopped.output
    assert PACKAGES[name].farewell in stopped.output


def test_stopped_job_leaves_a_whole_artifact(stopped: Job, name: str) -> None:
    check_artifact(stopped.base / "model", name)


def test_stopped_restart_delivers_the_model(resumed_jobs: dict[str, Job], name: str) -> None:
    job = resumed_jobs[name]
    assert (job.code, job.failure) == (0, None), job.output
    assert PACKAGES[name].progress not in job.output
    check_artifact(job.base / "model", name)


def test_artifact_holds_no_pickle(stopped: Job) -> None:
    suffixes = {path.suffix for path in (stopped.base / "model").iterdir()}
    assert suffixes <= {".json", ".safetensors"}


def test_refused_job_exits_with_1(refused: Job) -> None:
    assert refused.code == 1


def test_failure_file_lists_every_fault(refused: Job, name: str) -> None:
    package = PACKAGES[name]
    unknown, invalid = (refused.failure or "").splitlines()
    typo, suggestion = package.typo
    assert unknown == f"unknown hyperparameter {typo!r}; did you mean {suggestion!r}?"
    assert invalid.startswith(f"hyperparameter {package.invalid}: '-1' is not an integer from 1 to ")


def test_refused_job_prints_no_traceback(refused: Job) -> None:
    assert (refused.failure or "") in refused.output
    assert "Traceback" not in refused.output


class Running(NamedTuple):
    """A healthy server, and the statuses of the pings until then."""

    server: Server
    pings: set[int]

    def post(self, path: str, body: bytes, content_type: str, accept: str = "*/*") -> tuple[int, str, bytes]:
        """Status, content type and body of the answer."""
        return self.server.request("POST", path, body, {"Content-Type": content_type, "Accept": accept})


def serve(bases: Mapping[str, Path], logs: Path, **more: str) -> Iterator[dict[str, Running]]:
    """Servers of the packages, which start at the same time."""
    with ExitStack() as stack:
        servers = {}
        for name, base in bases.items():
            servers[name] = Server(base, logs / name, **variables(name), **more)
            stack.callback(servers[name].stop)
        with ThreadPoolExecutor() as threads:
            pings = threads.map(Server.wait_until_it_is_healthy, servers.values())
            running = {
                name: Running(servers[name], statuses) for name, statuses in zip(servers, pings, strict=True)
            }
        yield running


@pytest.fixture(scope="module")
def servers(
    nginx_program: str, stopped_jobs: dict[str, Job], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Running]]:
    """Servers of batch transform, which answers a bad record with an error record."""
    models = {name: job.base for name, job in stopped_jobs.items()}
    yield from serve(models, tmp_path_factory.mktemp("logs"), SAGEMAKER_BATCH="true")


@pytest.fixture
def running(servers: dict[str, Running], name: str) -> Running:
    return servers[name]


def test_ping_is_503_until_the_model_is_loaded(running: Running) -> None:
    assert running.pings == {503, 200}


def test_healthy_start_logs_nothing_above_info(running: Running) -> None:
    lines = [line for line in running.server.log if "are not batched" not in line.get("message", "")]
    assert {line["level"] for line in lines} <= {"debug", "info"}


BODIES = {
    JSON: json.dumps({"inputs": TEXTS}),
    JSON_LINES: "\n".join(json.dumps({"text": text}) for text in TEXTS),
    CSV: '"A wonderful film, I loved it."\n"Dull, ""empty"",\nand far too long."\n',
}


@pytest.mark.parametrize("content_type", BODIES)
def test_content_types_give_the_same_answer(running: Running, name: str, content_type: str) -> None:
    status, _, answer = running.post("/invocations", BODIES[content_type].encode(), content_type, JSON)
    assert status == 200
    assert json.loads(answer) == [predict(running, text) for text in TEXTS]
    assert tuple(json.loads(answer)[0]) == PACKAGES[name].keys


def predict(running: Running, text: str) -> dict[str, object]:
    """The answer to one text."""
    status, _, answer = running.post("/invocations", json.dumps({"text": text}).encode(), JSON)
    assert status == 200
    (record,) = json.loads(answer)
    return dict(record)


@pytest.mark.parametrize("accept", [JSON, JSON_LINES, CSV, TEXT])
def test_answer_has_the_accepted_type(running: Running, accept: str) -> None:
    status, content_type, answer = running.post("/invocations", BODIES[JSON].encode(), JSON, accept)
    assert (status, content_type) == (200, accept)
    readers: dict[str, Callable[[str], Sized]] = {
        JSON: json.loads,
        CSV: lambda text: list(csv.reader(io.StringIO(text))),
    }
    assert len(readers.get(accept, str.splitlines)(answer.decode())) == len(TEXTS)


@pytest.mark.parametrize(
    ("content_type", "accept", "expected"), [("application/x-npy", "*/*", 400), (JSON, "image/png", 406)]
)
def test_unsupported_type_is_refused(running: Running, content_type: str, accept: str, expected: int) -> None:
    status, _, answer = running.post("/invocations", b'"fine"', content_type, accept)
    assert status == expected
    assert json.loads(answer)["error"]


def test_lines_of_plain_text_are_records(running: Running) -> None:
    status, content_type, answer = running.post("/invocations", b"fine\nbad\n", TEXT)
    assert (status, content_type) == (200, JSON_LINES)
    assert [json.loads(line) for line in answer.splitlines()] == [
        predict(running, "fine"),
        predict(running, "bad"),
    ]


def test_batch_of_errors_is_refused(running: Running) -> None:
    status, _, answer = running.post("/invocations", b'{"stars": 3}\n{"stars": 4}\n', JSON_LINES)
    assert status == 400
    assert "none of the 2 records can be used" in json.loads(answer)["error"]


def test_bad_record_of_a_batch_is_an_error_record(running: Running) -> None:
    status, _, answer = running.post("/invocations", b'{"text": "fine"}\n{"text": 3}\n', JSON_LINES)
    good, bad = map(json.loads, answer.splitlines())
    assert (status, good) == (200, predict(running, "fine"))
    assert bad["error"].startswith("line 2: ")


def refusal(name: str, base: Path, log: Path) -> str:
    """The last message of a server that ends at its start."""
    server = Server(base, log, **variables(name))
    assert server.process.wait(60) == 1
    return str(server.log[-1]["message"])


@pytest.fixture
def copy(stopped: Job, tmp_path: Path) -> Path:
    """A copy of the folder that holds the artifact."""
    shutil.copytree(stopped.base / "model", tmp_path / "model")
    return tmp_path


def test_damaged_artifact_ends_the_server(copy: Path, name: str) -> None:
    path = copy / "model" / PACKAGES[name].model
    with path.open("r+b") as stream:
        stream.write(b"\0")
    expected = f"{path} is damaged: its SHA-256 differs from {MANIFEST}"
    assert refusal(name, copy, copy / "log") == expected


def test_artifact_of_another_package_ends_the_server(copy: Path, name: str) -> None:
    another = next(package for package in PACKAGES if package != name)
    message = refusal(another, copy, copy / "log")
    assert f"the model was made by package {name!r}, this container runs {another!r}" in message


@pytest.fixture(scope="module")
def multi_model_servers(
    nginx_program: str, stopped_jobs: dict[str, Job], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Running]]:
    bases = {name: tmp_path_factory.mktemp(name) for name in PACKAGES}
    for name, base in bases.items():
        shutil.copytree(stopped_jobs[name].base / "model", base / "models" / "a" / "model")
    yield from serve(bases, tmp_path_factory.mktemp("logs"), SAGEMAKER_MULTI_MODEL="true")


def test_multi_model_endpoint_loads_and_unloads(multi_model_servers: dict[str, Running], name: str) -> None:
    running = multi_model_servers[name]
    folder = multi_model_servers[name].server.base / "models" / "a" / "model"
    load = json.dumps({"model_name": "a", "url": str(folder)}).encode()
    invoke = ("/models/a/invoke", b"fine", TEXT)
    assert running.post(*invoke)[0] == 404
    assert running.post("/models", load, JSON)[0] == 200
    status, _, answer = running.post(*invoke)
    assert (status, len(json.loads(answer))) == (200, 1)
    assert running.post("/models", load, JSON)[0] == 409
    assert running.server.request("DELETE", "/models/a")[0] == 200
    assert running.post(*invoke)[0] == 404
