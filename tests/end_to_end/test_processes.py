"""The real ``train`` in several processes, on one host and on two: this machine, by two addresses."""

import csv
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from safetensors.numpy import load_file

from tests.conftest import PLAIN, make_base, write_csv
from tests.support.programs import children, run_train, start_train

pytestmark = pytest.mark.whole_path

Review = tuple[str, str]
HOSTS = ["127.0.0.1", "127.0.0.2"]
# Without dropout, which differs from process to process.
SMALL = PLAIN | {
    "epochs": "3",
    "hidden_dim": "16",
    "embedding_dim": "16",
    "batch_size": "17",
    "learning_rate": "0.01",
    "dropout": "0",
    "embedding_dropout": "0",
}
ENDLESS = SMALL | {"epochs": "1000", "patience": "1000"}


def metrics(base: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((base / "output" / "data" / "metrics.json").read_text())
    return content


def losses(base: Path) -> list[float]:
    return [epoch[name] for epoch in metrics(base)["epochs"] for name in ("train_loss", "validation_loss")]


def predictions(base: Path) -> list[dict[str, str]]:
    with (base / "output" / "data" / "predictions.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture(scope="module")
def alone(few_reviews: list[Review], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of one process."""
    base = make_base(tmp_path_factory.mktemp("ml"), SMALL, training=few_reviews, test=few_reviews[:33])
    result = run_train(base)
    assert result.returncode == 0, result.stderr
    return base


def assert_same_but_for_rounding(base: Path, other: Path) -> None:
    assert losses(base) == pytest.approx(losses(other), abs=2e-6)
    for name in ("validation", "test"):
        assert metrics(base)[name]["reviews"] == metrics(other)[name]["reviews"]
        assert metrics(base)[name]["log_loss"] == pytest.approx(metrics(other)[name]["log_loss"], abs=2e-6)
    assert (base / "model" / "vocabulary.json").read_bytes() == (
        other / "model" / "vocabulary.json"
    ).read_bytes()
    for mine, others in zip(predictions(base), predictions(other), strict=True):
        assert (mine["set"], mine["line"], mine["label"]) == (others["set"], others["line"], others["label"])
        assert float(mine["probability"]) == pytest.approx(float(others["probability"]), abs=5e-6)


def test_two_processes_learn_as_one(few_reviews: list[Review], alone: Path, tmp_path: Path) -> None:
    hyperparameters = SMALL | {"processes_per_host": "2"}
    base = make_base(tmp_path, hyperparameters, training=few_reviews, test=few_reviews[:33])
    result = run_train(base)
    assert result.returncode == 0, result.stderr
    assert_same_but_for_rounding(base, alone)
    assert result.stdout.count("epoch=1;") == 1


def test_processes_share_ngram_scores(few_reviews: list[Review], tmp_path: Path) -> None:
    # N-gram scores make logits steep: at a higher rate rounding grows beyond what the comparison allows.
    scores = {
        "max_ngrams": "100",
        "ngram_init": "regression",
        "pooling": "mean",
        "learning_rate": "0.0003",
    }
    # Batches so long that each process takes them in parts.
    values = SMALL | scores | {"batch_size": "180"}
    bases = []
    for count in "12":
        hyperparameters = values | {"processes_per_host": count}
        bases.append(
            make_base(tmp_path / count, hyperparameters, training=few_reviews, test=few_reviews[:33])
        )
        result = run_train(bases[-1])
        assert result.returncode == 0, result.stderr
    assert_same_but_for_rounding(bases[1], bases[0])
    assert json.loads((bases[0] / "model" / "vocabulary.json").read_text())["ngrams"]


def test_stop_while_reading_leaves_nothing(real_reviews: list[Review], tmp_path: Path) -> None:
    # So many that reading them takes longer than the stop.
    base = make_base(tmp_path, SMALL | {"processes_per_host": "2"}, training=real_reviews[:10_000])
    with start_train(base) as process:
        assert process.stdout is not None
        while not process.stdout.readline().startswith("version"):
            assert process.poll() is None
        process.terminate()
        assert "stopped before the first step: there is nothing to save" in process.communicate(timeout=60)[0]
    assert process.returncode == 0
    assert not (base / "model").exists()
    assert not (base / "output" / "failure").exists()


Hosts = Callable[..., list[Path]]


@pytest.fixture
def hosts(tmp_path: Path) -> Hosts:
    """Makes the folders of two hosts; arguments are a host's reviews, in the channels training and test."""

    def make(*shards: tuple[list[Review], list[Review]], sharded: bool, **hyperparameters: str) -> list[Path]:
        bases = []
        for name, (training, test) in zip(HOSTS, shards, strict=True):
            base = make_base(tmp_path / name, SMALL | hyperparameters, training=[], test=[])
            config = base / "input" / "config"
            resources = {"current_host": name, "hosts": HOSTS, "network_interface_name": "lo"}
            (config / "resourceconfig.json").write_text(json.dumps(resources))
            kind = {"S3DistributionType": "ShardedByS3Key" if sharded else "FullyReplicated"}
            (config / "inputdataconfig.json").write_text(json.dumps({"training": kind, "test": kind}))
            for channel, reviews in (("training", training), ("test", test)):
                folder = base / "input" / "data" / channel
                if reviews:
                    write_csv(folder / "reviews.csv", reviews)
                else:
                    shutil.rmtree(folder)
            (base / "checkpoints").mkdir()
            bases.append(base)
        return bases

    return make


class Job:
    """The ``train`` of each host."""

    def __init__(self, bases: list[Path]) -> None:
        self.bases = bases
        self.processes = [start(base) for base in bases]

    def wait_for(self, line: str) -> None:
        """Wait until the first host's log has a line."""
        deadline = time.monotonic() + 120
        while line not in self.log(0):
            assert time.monotonic() < deadline, self.log(0)
            time.sleep(0.1)

    def log(self, host: int) -> str:
        """The output of a host so far."""
        return (self.bases[host] / "log").read_text()

    def wait(self, seconds: float = 120) -> list[int]:
        """Wait for the end everywhere; the exit codes."""
        deadline = time.monotonic() + seconds
        return [process.wait(max(0.1, deadline - time.monotonic())) for process in self.processes]

    def failure(self, host: int) -> str:
        """A host's failure file; empty where there is none."""
        path = self.bases[host] / "output" / "failure"
        return path.read_text() if path.exists() else ""


def start(base: Path) -> subprocess.Popen[str]:
    with (base / "log").open("w") as log:
        return start_train(base, stdout=log, stderr=subprocess.STDOUT)


@pytest.fixture
def start_job() -> Iterator[Callable[[list[Path]], Job]]:
    jobs: list[Job] = []

    def begin(bases: list[Path]) -> Job:
        jobs.append(Job(bases))
        return jobs[-1]

    yield begin
    for job in jobs:
        for process in job.processes:
            process.kill()
            process.wait()


StartJob = Callable[[list[Path]], Job]


@pytest.mark.parametrize("files", ["one each", "all on the second"])
def test_two_hosts_learn_as_one(
    files: str, few_reviews: list[Review], alone: Path, hosts: Hosts, start_job: StartJob
) -> None:
    everything, nothing, test = few_reviews, list[Review](), few_reviews[:33]
    shards = {
        "one each": ((everything[:150], test), (everything[150:], nothing)),
        "all on the second": ((nothing, nothing), (everything, test)),
    }[files]
    job = start_job(hosts(*shards, sharded=True))
    assert job.wait() == [0, 0], job.log(0) + job.log(1)
    if files == "one each":
        first, second = (losses(base) for base in (job.bases[0], alone))
        assert first == pytest.approx(second, abs=2e-6)
    else:
        assert_same_but_for_rounding(job.bases[0], alone)
    assert not (job.bases[1] / "model").exists()
    assert list((job.bases[1] / "checkpoints").iterdir()) == []


def test_stop_on_one_host_resumes_bitwise(
    few_reviews: list[Review], hosts: Hosts, start_job: StartJob
) -> None:
    both = (few_reviews, few_reviews[:33])
    options = {"epochs": "40", "patience": "40", "dropout": "0.5", "embedding_dropout": "0.5"}
    bases = hosts(both, both, sharded=False, **options)
    job = start_job(bases)
    job.wait_for("epoch=2;")
    job.processes[1].send_signal(signal.SIGTERM)
    assert job.wait(60) == [0, 0], job.log(0) + job.log(1)
    assert "the best model so far is in" in job.log(0)
    assert "stop requested" in job.log(1)
    assert (bases[0] / "model" / "model.json").is_file()
    # The second host's copy of the checkpoints, if it has any, does not count.
    (bases[1] / "checkpoints" / "checkpoint-00099-00000000-0123456789abcdef.safetensors").touch()
    assert start_job(bases).wait() == [0, 0]
    stopped = load_file(bases[0] / "model" / "model.safetensors")

    shutil.rmtree(bases[0] / "checkpoints")
    assert start_job(bases).wait() == [0, 0]
    whole = load_file(bases[0] / "model" / "model.safetensors")
    assert all((whole[name] == stopped[name]).all() for name in whole)


def kill_process(job: Job) -> str:
    os.kill(children(job.processes[1])[0], signal.SIGKILL)
    return "process 1 was killed (SIGKILL), most likely because memory ran out\nuse a smaller batch_size"


def kill_host(job: Job) -> str:
    job.processes[1].kill()
    return "127.0.0.2 disconnected without a message: it was killed, or it ran out of memory\nsee its log"


@pytest.mark.parametrize("end", [kill_process, kill_host])
def test_lost_process_fails_every_host(
    end: Callable[[Job], str], few_reviews: list[Review], hosts: Hosts, start_job: StartJob
) -> None:
    both = (few_reviews, few_reviews[:33])
    bases = hosts(both, both, sharded=False, **{name: ENDLESS[name] for name in ("epochs", "patience")})
    job = start_job(bases)
    job.wait_for("epoch=1;")
    workers = [worker for process in job.processes for worker in children(process)]
    reason = end(job)
    codes = job.wait(60)
    assert codes[0] == 1
    assert job.failure(0).startswith("host 127.0.0.2")
    assert reason in job.failure(0)
    if end == kill_process:
        assert codes[1] == 1
        assert job.failure(1).startswith(reason)
    assert "Traceback" not in job.log(0) + job.log(1)
    deadline = time.monotonic() + 10
    while any(Path(f"/proc/{worker}").exists() for worker in workers):
        assert time.monotonic() < deadline, "a process has outlived its job"
        time.sleep(0.1)


def test_faulty_file_fails_both_hosts(few_reviews: list[Review], hosts: Hosts, start_job: StartJob) -> None:
    faulty = [*few_reviews[:100], ("fine", "5")]
    bases = hosts((few_reviews, few_reviews[:33]), (faulty, []), sharded=True)
    job = start_job(bases)
    assert job.wait(60) == [1, 1]
    assert "reviews.csv, line" in job.failure(1)
    assert "unknown label '5'" in job.failure(1)
    assert job.failure(0) == f"host 127.0.0.2: {job.failure(1)}"
    assert "Traceback" not in job.log(0) + job.log(1)
