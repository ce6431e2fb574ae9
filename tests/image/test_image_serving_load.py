"""Many requests at a time: batched, bounded, sized for the container, logged, and counted."""

import contextlib
import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from sentiment.model.predictor import Predictor
from tests.image import faults
from tests.image.conftest import Review
from tests.image.containers import Answer, Container, serving
from tests.support.prometheus import buckets, value


def records(container: Container) -> list[dict[str, Any]]:
    """The log, line by line: every line is a JSON object."""
    return [json.loads(line) for line in container.log().splitlines()]


def requests_in(container: Container) -> list[dict[str, Any]]:
    """The lines of requests in the log."""
    return [record for record in records(container) if record["source"] == "request"]


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    return faults.mount(tmp_path_factory.mktemp("faults"))


@contextlib.contextmanager
def scraping(container: Container) -> Iterator[list[bytes]]:
    """Scrape the metrics every second while the block runs."""
    bodies: list[bytes] = []
    done = threading.Event()

    def scrape() -> None:
        while not done.wait(1):
            answer = container.request("/metrics")
            assert answer.status == 200, answer
            bodies.append(answer.body)

    with ThreadPoolExecutor(1) as pool:
        scrapes = pool.submit(scrape)
        try:
            yield bodies
        finally:
            done.set()
        scrapes.result()


@pytest.fixture(scope="module")
def loaded(
    image: str, trained: Path, reviews: list[Review]
) -> Iterator[tuple[Container, list[str], list[Answer]]]:
    """A container that has answered 3,000 requests from 32 clients while its metrics were scraped.

    With the texts and the answers.
    """
    texts = [text for text, _ in reviews] * 10
    with serving(image, trained / "model") as container, ThreadPoolExecutor(32) as clients:
        with scraping(container) as scrapes:
            answers = list(clients.map(container.predict, texts))
        assert scrapes == sorted(scrapes, key=lambda body: value(body, "byoc_requests_total"))
        yield container, texts, answers


def test_no_request_fails_under_load(loaded: tuple[Container, list[str], list[Answer]]) -> None:
    _, _, answers = loaded
    assert {answer.status for answer in answers} == {200}


def test_each_request_gets_its_own_answer(
    loaded: tuple[Container, list[str], list[Answer]], trained: Path
) -> None:
    _, texts, answers = loaded
    expected = [p["probability"] for p in Predictor.load(trained / "model").predict(texts[:300])]
    for start in range(0, 3000, 300):
        found = [json.loads(answer.body)[0]["probability"] for answer in answers[start : start + 300]]
        assert found == pytest.approx(expected, abs=1e-5)


def test_waiting_requests_are_batched(image: str, trained: Path, faulty: tuple[str, ...]) -> None:
    options = (*faulty, "--env", "SAGEMAKER_MODEL_SERVER_WORKERS=1")
    with (
        serving(image, trained / "model", options=options) as container,
        ThreadPoolExecutor(25) as clients,
        scraping(container) as scrapes,
    ):
        first = clients.submit(container.predict, f"{faults.SLEEP}4")
        time.sleep(1)
        list(clients.map(container.predict, ["good"] * 24))
        assert first.result().status == 200
        sizes = [request["batch_size"] for request in requests_in(container) if "batch_size" in request]
    assert sorted(sizes) == [1, *[8] * 8, *[16] * 16]
    # Answered while the only worker sleeps.
    assert max(value(body, "byoc_workers_busy") for body in scrapes) == 1
    assert max(value(body, "byoc_requests_in_flight") for body in scrapes) >= 25


def test_request_has_a_log_line(loaded: tuple[Container, list[str], list[Answer]]) -> None:
    container = loaded[0]
    time.sleep(1)  # nginx logs a request after its answer
    container.predict("The film")
    time.sleep(1)
    line = requests_in(container)[-1]
    assert line["status"] == 200
    assert (line["texts"], line["characters"], line["batch_size"]) == (1, 8, 1)
    assert 0 <= line["unknown_share"] <= 1
    assert 0 <= line["queue_seconds"] <= line["latency"]


def test_metrics_agree_with_the_log(loaded: tuple[Container, list[str], list[Answer]]) -> None:
    container = loaded[0]
    time.sleep(1)  # nginx logs a request after its answer
    requests, body = requests_in(container), container.request("/metrics").body
    counts = buckets(body, "byoc_request_duration_seconds")
    assert counts == {bound: sum(request["latency"] <= bound for request in requests) for bound in counts}
    answered = [request for request in requests if "texts" in request]
    assert value(body, "byoc_texts_total") == sum(request["texts"] for request in answered) >= 3000
    unknown = sum(request["unknown_share"] for request in answered)
    assert value(body, "sentiment_unknown_share_sum") == pytest.approx(unknown)


def test_scrapes_are_not_logged(loaded: tuple[Container, list[str], list[Answer]]) -> None:
    assert "/metrics" not in loaded[0].log()


def test_log_holds_no_text(loaded: tuple[Container, list[str], list[Answer]]) -> None:
    container, texts, _ = loaded
    log = container.log()
    assert not [text for text in texts[:300] if text[:40] in log]


def test_healthy_ping_is_not_logged(loaded: tuple[Container, list[str], list[Answer]]) -> None:
    container = loaded[0]
    assert container.ping() == 200
    pings = [request for request in requests_in(container) if request["path"] == "/ping"]
    assert not [ping for ping in pings if ping["status"] == 200]


def test_failing_request_harms_no_other(image: str, trained: Path, faulty: tuple[str, ...]) -> None:
    options = (*faulty, "--env", "SAGEMAKER_MODEL_SERVER_WORKERS=1", "--env", "SERVE_BATCH_DELAY_MS=500")
    expect = ['"path":"/invocations","status":500', "prediction failed"]
    texts = ["good", "bad", faults.RAISE, "so-so"]
    with (
        serving(image, trained / "model", options=options, expect=expect) as container,
        ThreadPoolExecutor(4) as clients,
        scraping(container),
    ):
        statuses = [answer.status for answer in clients.map(container.predict, texts)]
        assert {request["batch_size"] for request in requests_in(container) if "batch_size" in request} == {4}
    assert statuses == [200, 200, 500, 200]


def test_request_beyond_limit_is_503(image: str, trained: Path, faulty: tuple[str, ...]) -> None:
    options = (*faulty, "--env", "SERVE_MAX_REQUESTS=3", "--env", "SAGEMAKER_MODEL_SERVER_WORKERS=1")
    expect = ['"path":"/invocations","status":503']
    with (
        serving(image, trained / "model", options=options, expect=expect) as container,
        ThreadPoolExecutor(3) as clients,
        scraping(container),
    ):
        waiting = [clients.submit(container.predict, f"{faults.SLEEP}5") for _ in range(3)]
        time.sleep(1)
        refused = container.predict("good")
        assert not any(request.done() for request in waiting)
        assert (refused.status, refused.headers["Retry-After"]) == (503, "1")
        assert json.loads(refused.body)["error"]
        assert container.ping() == 200
        assert [request.result().status for request in waiting] == [200, 200, 200]


@pytest.mark.parametrize(
    ("options", "workers", "threads"),
    [
        (("--cpus", "1"), 1, 1),
        (("--cpuset-cpus", "0"), 1, 1),
        (("--cpus", "2"), 2, 1),
        (("--cpus", "2", "--env", "SAGEMAKER_MODEL_SERVER_WORKERS=1"), 1, 2),
        (("--cpus", "2", "--memory", "1g"), 2, 1),
        (("--cpus", "2", "--memory", "512m"), 1, 2),
    ],
)
def test_workers_and_threads_follow_container_limits(
    image: str, trained: Path, options: tuple[str, ...], workers: int, threads: int
) -> None:
    with serving(image, trained / "model", options=options) as container:
        settings = records(container)[0]
        assert (settings["workers"], settings["threads"]) == (workers, threads)
        end = time.monotonic() + 60
        while len(container.workers()) != workers and time.monotonic() < end:
            time.sleep(0.2)
        assert len(container.workers()) == workers
        environment = container.execute("cat", f"/proc/{container.workers()[0]}/environ").split("\0")
        assert f"OMP_NUM_THREADS={threads}" in environment


def test_java_heap_follows_container_memory(image: str, trained: Path) -> None:
    with serving(image, trained / "model", options=("--memory", "1g")) as container:
        assert "-Xmx128m" in container.process("com.amazonaws.ml.mms.ModelServer").command.split()


def test_invalid_setting_is_named(image: str, trained: Path) -> None:
    options = ("--volume", f"{trained / 'model'}:/opt/ml/model:ro", "--env", "SERVE_BATCH_SIZE=many")
    message = "SERVE_BATCH_SIZE=many: expected a whole number from 1 to 1024"
    with Container(image, "serve", options=options, expect=[message]) as container:
        assert container.wait(20) == 1
