"""Two containers that train together: in the SDK's local mode, and with one lost in between."""

import json
import tarfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.image.conftest import OptMl, Review, run_local_mode, write_reviews
from tests.image.containers import Container, composed_log, docker, unexpected

SCRIPT = str(Path(__file__).with_name("sdk") / "two_hosts.py")
NO_DROPOUT = {"dropout": "0", "embedding_dropout": "0"}
ENDLESS = NO_DROPOUT | {"epochs": "1000", "patience": "1000", "batch_size": "16"}
TOOLKIT = ("Reporting training FAILURE", "Encountered exit_code 1")
HOSTS = ["algo-1", "algo-2"]


@pytest.fixture(scope="module")
def folder(image: str, reviews: list[Review], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of the SDK's script; its log is ``log``."""
    folder = tmp_path_factory.mktemp("sdk2")
    write_reviews(folder / "training" / "reviews.csv", reviews)
    (folder / "log").write_text(run_local_mode("sdk2", SCRIPT, image, str(folder), folder=folder))
    return folder


def metrics(folder: Path) -> dict[str, Any]:
    with tarfile.open(folder / "output" / "output.tar.gz") as files:
        content = files.extractfile("data/metrics.json")
        assert content
        found: dict[str, Any] = json.load(content)
        return found


def test_sdk_trains_on_two_hosts(folder: Path) -> None:
    log = composed_log((folder / "log").read_text())
    assert log.count("hosts: 2; processes on each: 1") == 2
    assert log.count("epoch=1;") == 1
    assert unexpected(log) == []
    with tarfile.open(folder / "output" / "model.tar.gz") as files:
        assert "model.safetensors" in files.getnames()


def test_two_hosts_learn_like_one(folder: Path, image: str, opt_ml: OptMl) -> None:
    alone = opt_ml(**NO_DROPOUT)
    with Container(image, "train", mount=alone) as container:
        assert container.wait() == 0
    expected = json.loads((alone / "output" / "data" / "metrics.json").read_text())
    for two, one in zip(metrics(folder)["epochs"], expected["epochs"], strict=True):
        assert two["train_loss"] == pytest.approx(one["train_loss"], abs=2e-6)
        assert two["validation_loss"] == pytest.approx(one["validation_loss"], abs=2e-6)


@pytest.fixture
def network() -> Iterator[str]:
    """A network for two containers."""
    name = f"two-hosts-{time.monotonic_ns()}"
    docker("network", "create", name)
    yield name
    docker("network", "rm", name)


def kill(_network: str, container: Container) -> None:
    docker("kill", container.id)


def cut_off(network: str, container: Container) -> None:
    """Drop all packets, so that no connection is closed."""
    docker("network", "disconnect", "--force", network, container.id)


@pytest.mark.parametrize(("end", "lost"), [(kill, 0), (cut_off, 1)])
def test_lost_host_fails_the_other(
    image: str, opt_ml: OptMl, network: str, end: Callable[[str, Container], None], lost: int
) -> None:
    folders = [opt_ml(**ENDLESS) for _ in HOSTS]
    for folder, name in zip(folders, HOSTS, strict=True):
        resources = {"current_host": name, "hosts": HOSTS, "network_interface_name": "eth0"}
        (folder / "input" / "config" / "resourceconfig.json").write_text(json.dumps(resources))
    other = 1 - lost
    expect: list[tuple[str, ...]] = [(*TOOLKIT, f"ERROR +host {HOSTS[other]}")] * 2
    expect[other] = (*TOOLKIT, f"ERROR +host {HOSTS[lost]}")
    if end == kill:
        expect[lost] = ()
    options = [["--network", network, "--network-alias", name] for name in HOSTS]
    with (
        Container(image, "train", mount=folders[0], options=options[0], expect=expect[0]) as first,
        Container(image, "train", mount=folders[1], options=options[1], expect=expect[1]) as second,
    ):
        first.wait_for("epoch=1;")
        end(network, (first, second)[lost])
        start = time.monotonic()
        assert (first, second)[other].wait(60) == 1
        assert (first, second)[lost].wait(60) == (137 if end == kill else 1)
        print(f"{time.monotonic() - start:.0f} s from the loss to the end of both")
    reason = (folders[other] / "output" / "failure").read_text()
    why = "has sent no heartbeat for 30 seconds" if end == cut_off else "disconnected without a message"
    assert reason.startswith(f"host {HOSTS[lost]} {why}")
    if end == cut_off:
        assert (folders[lost] / "output" / "failure").read_text().startswith(f"host {HOSTS[other]}")
