"""Metrics of the real server, compared with its request log."""

import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psutil
import pytest

from tests.support.programs import ROOT, Server
from tests.support.prometheus import buckets, value
from tests.support.toy import ARTIFACT

pytestmark = pytest.mark.whole_path

TEXT = {"Content-Type": "text/plain"}


@pytest.fixture(scope="module")
def server(nginx_program: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of the toy model with one worker."""
    assert nginx_program
    base = tmp_path_factory.mktemp("ml")
    (base / "model").symlink_to(ARTIFACT)
    running = Server(
        base,
        base / "log",
        MODEL_PACKAGE="tests.support.toy",
        PYTHONPATH=f"{ROOT / 'code'}:{ROOT}",
        SAGEMAKER_MODEL_SERVER_WORKERS="1",
    )
    running.wait_until_it_is_healthy()
    yield running
    assert running.stop() == 0, running.log


def scrape(server: Server) -> bytes:
    status, content_type, body = server.request("GET", "/metrics")
    assert (status, content_type) == (200, "text/plain; version=0.0.4; charset=utf-8")
    return body


def scrape_until(server: Server, name: str, expected: float) -> bytes:
    """The metrics once one has this value: nginx logs a request after its answer."""
    deadline = time.monotonic() + 60
    while value(body := scrape(server), name) != expected:
        assert time.monotonic() < deadline, body.decode()
        time.sleep(0.05)
    return body


def requests_in(log: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [line for line in log if line["source"] == "request"]


def test_histogram_counts_1000_requests(server: Server) -> None:
    def post(text: str) -> int:
        return server.request("POST", "/invocations", text.encode(), TEXT)[0]

    with ThreadPoolExecutor(4) as clients:
        # An empty text is refused.
        assert sorted(set(clients.map(post, ["good", "bad", "so-so", ""] * 250))) == [200, 400]
    body = scrape_until(server, "byoc_request_duration_seconds_count", 1000)
    requests = requests_in(server.log)
    counts = buckets(body, "byoc_request_duration_seconds")
    assert counts == {bound: sum(request["latency"] <= bound for request in requests) for bound in counts}
    assert value(body, "byoc_requests_total", status="2xx", model="model") == 750
    assert value(body, "byoc_requests_total", status="4xx", model="model") == 250
    assert value(body, "byoc_texts_total") == 750
    assert value(body, "byoc_characters_total") == 250 * len("goodbadso-so")
    assert value(body, "toy_longest_sum") == 250 * len("goodbadso-so")


def test_scrapes_are_not_logged(server: Server) -> None:
    scrape(server)
    assert not [line for line in server.log if line.get("path") == "/metrics"]


def test_killed_worker_is_a_restart(server: Server) -> None:
    assert value(scrape(server), "byoc_model_load_seconds") > 0
    (parent,) = [p for p in psutil.Process(server.process.pid).children(True) if is_parent(p)]
    (worker,) = parent.children()
    os.kill(worker.pid, signal.SIGKILL)
    body = scrape_until(server, "byoc_worker_restarts_total", 1)
    assert value(body, "byoc_workers_ready") == 1


def is_parent(process: psutil.Process) -> bool:
    return "--model-name" in process.cmdline() and "--model-name" not in (
        parent.cmdline() if (parent := process.parent()) else []
    )
