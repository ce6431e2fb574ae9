"""The LSTM in several processes, on one host and on two."""

import csv
import json
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors.numpy import load_file

from tests.conftest import PLAIN, make_base, write_csv
from tests.support.programs import run_train, start_train
from tests.support.two_hosts import HOSTS, TwoHostJob, configure_host

pytestmark = pytest.mark.whole_path

Review = tuple[str, str]
# Without dropout, whose random numbers differ between processes.
SMALL = PLAIN | {
    "epochs": "3",
    "hidden_dim": "16",
    "embedding_dim": "16",
    "batch_size": "17",
    "learning_rate": "0.01",
    "dropout": "0",
    "embedding_dropout": "0",
}

DROPOUT = {"dropout": "0.5", "embedding_dropout": "0.5"}


def metrics(base: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((base / "output" / "data" / "metrics.json").read_text())
    return content


def losses(base: Path) -> list[float]:
    return [epoch[name] for epoch in metrics(base)["epochs"] for name in ("train_loss", "validation_loss")]


def predictions(base: Path) -> list[dict[str, str]]:
    with (base / "output" / "data" / "predictions.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture(scope="module")
def single_process(few_reviews: list[Review], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of one process."""
    base = make_base(tmp_path_factory.mktemp("ml"), SMALL, training=few_reviews, test=few_reviews[:33])
    result = run_train(base)
    assert result.returncode == 0, result.stderr
    return base


def assert_equal_up_to_rounding(base: Path, other: Path) -> None:
    assert losses(base) == pytest.approx(losses(other), abs=2e-6)
    for name in ("validation", "test"):
        assert metrics(base)[name]["reviews"] == metrics(other)[name]["reviews"]
        assert metrics(base)[name]["log_loss"] == pytest.approx(metrics(other)[name]["log_loss"], abs=2e-6)
    assert (base / "model" / "vocabulary.json").read_bytes() == (
        other / "model" / "vocabulary.json"
    ).read_bytes()
    for first, second in zip(predictions(base), predictions(other), strict=True):
        for name in ("set", "line", "label", "words"):
            assert first[name] == second[name]
        assert float(first["probability"]) == pytest.approx(float(second["probability"]), abs=5e-6)


def test_two_processes_match_one(few_reviews: list[Review], single_process: Path, tmp_path: Path) -> None:
    hyperparameters = SMALL | {"processes_per_host": "2"}
    base = make_base(tmp_path, hyperparameters, training=few_reviews, test=few_reviews[:33])
    result = run_train(base)
    assert result.returncode == 0, result.stderr
    assert_equal_up_to_rounding(base, single_process)
    assert result.stdout.count("epoch=1;") == 1


def test_processes_share_pretraining_and_ngrams(few_reviews: list[Review], tmp_path: Path) -> None:
    values = SMALL | {
        "pretraining_epochs": "2",
        "pretraining_batch_size": "33",
        "ngram_weight": "1",
        "pooling": "mean-max",
        "batch_size": "180",  # so large that each process splits it into micro-batches
    }
    bases = []
    for count in "12":
        hyperparameters = values | {"processes_per_host": count}
        bases.append(
            make_base(tmp_path / count, hyperparameters, training=few_reviews, test=few_reviews[:33])
        )
        result = run_train(bases[-1])
        assert result.returncode == 0, result.stderr
    assert_equal_up_to_rounding(bases[1], bases[0])
    first, second = (metrics(base)["pretraining"][-1]["train_perplexity"] for base in bases)
    assert first == pytest.approx(second, rel=1e-5)


def test_stopped_pretraining_resumes_bitwise(few_reviews: list[Review], tmp_path: Path) -> None:
    values = SMALL | {"processes_per_host": "2", "pretraining_epochs": "4", "pretraining_batch_size": "33"}
    weights = []
    for name in ("stopped", "whole"):
        base = make_base(tmp_path / name, values | DROPOUT | {"epochs": "1"}, training=few_reviews)
        (base / "checkpoints").mkdir()
        if name == "stopped":
            with start_train(base) as process:
                assert process.stdout is not None
                while "pretraining_epoch=1;" not in process.stdout.readline():
                    assert process.poll() is None
                process.send_signal(signal.SIGTERM)
                log = process.stdout.read()
            assert process.returncode == 0, log
            assert "pretraining_epoch=4;" not in log
        assert run_train(base).returncode == 0
        weights.append(load_file(base / "model" / "model.safetensors"))
    assert all((weights[0][name] == weights[1][name]).all() for name in weights[0])


Hosts = Callable[..., list[Path]]


@pytest.fixture
def hosts(tmp_path: Path) -> Hosts:
    """Makes the folders of two hosts from their reviews in the channels training and test."""

    def make(*shards: tuple[list[Review], list[Review]], sharded: bool, **hyperparameters: str) -> list[Path]:
        bases = []
        for name, (training, test) in zip(HOSTS, shards, strict=True):
            base = make_base(tmp_path / name, SMALL | hyperparameters, training=[], test=[])
            config = base / "input" / "config"
            configure_host(base, name)
            settings = {"S3DistributionType": "ShardedByS3Key" if sharded else "FullyReplicated"}
            (config / "inputdataconfig.json").write_text(json.dumps({"training": settings, "test": settings}))
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


@pytest.mark.parametrize("files", ["one each", "all on the second"])
def test_two_hosts_match_one(
    files: str, few_reviews: list[Review], single_process: Path, hosts: Hosts
) -> None:
    everything, nothing, test = few_reviews, list[Review](), few_reviews[:33]
    shards = {
        "one each": ((everything[:150], test), (everything[150:], nothing)),
        "all on the second": ((nothing, nothing), (everything, test)),
    }[files]
    with TwoHostJob(hosts(*shards, sharded=True)) as job:
        assert job.wait() == [0, 0], job.log(0) + job.log(1)
    if files == "one each":
        first, second = (losses(base) for base in (job.bases[0], single_process))
        assert first == pytest.approx(second, abs=2e-6)
    else:
        assert_equal_up_to_rounding(job.bases[0], single_process)
    assert not (job.bases[1] / "model").exists()
    assert list((job.bases[1] / "checkpoints").iterdir()) == []


def test_stopped_hosts_resume_bitwise(few_reviews: list[Review], hosts: Hosts) -> None:
    both = (few_reviews, few_reviews[:33])
    bases = hosts(both, both, sharded=False, epochs="10", patience="10", **DROPOUT)
    with TwoHostJob(bases) as job:
        job.wait_for("epoch=2;")
        job.processes[1].send_signal(signal.SIGTERM)
        assert job.wait(60) == [0, 0], job.log(0) + job.log(1)
    assert "the best model so far is in" in job.log(0)
    assert "stop requested" in job.log(1)
    # Only the first host's checkpoints count.
    (bases[1] / "checkpoints" / "checkpoint-00099-00000000-0123456789abcdef.safetensors").touch()
    with TwoHostJob(bases) as job:
        assert job.wait() == [0, 0]
    stopped = load_file(bases[0] / "model" / "model.safetensors")

    shutil.rmtree(bases[0] / "checkpoints")
    with TwoHostJob(bases) as job:
        assert job.wait() == [0, 0]
    whole = load_file(bases[0] / "model" / "model.safetensors")
    assert all((whole[name] == stopped[name]).all() for name in whole)
