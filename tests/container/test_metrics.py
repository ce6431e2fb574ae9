"""Metrics for Prometheus, parsed by the official client library."""

import io
from collections.abc import Iterator
from typing import Any

import pytest

from byoc.serving.worker_status import Worker
from byoc.version import version
from serving.logs import Log
from serving.metrics import REQUESTS, SECONDS, Metrics
from serving.model_registry import Model, ModelError
from serving.settings import Settings
from tests.support.prometheus import buckets, families, value
from tests.support.running_nginx import RunningNginx, running_nginx
from tests.support.toy import ARTIFACT
from tests.support.unix_http import Response

MULTI_MODEL = {"SAGEMAKER_MULTI_MODEL": "true"}
REFUSAL = {"path": "/invocations", "status": 400, "latency": 0.02}
ANSWER = REFUSAL | {
    "status": 200,
    "batch_size": 3,
    "queue_seconds": 0.004,
    "texts": 2,
    "characters": 9,
    "longest": 5,
}
FIGURES = {
    **{"X-batch-size": "3", "X-queue-seconds": "0.004", "X-texts": "2", "X-characters": "9"},
    "X-longest": "5",
}


class FakeModels:
    """A registry in which each of these models is loaded by two workers, one of them busy."""

    def __init__(self, *names: str) -> None:
        self.names = list(names)
        self.loads = [0.5, 0.75]

    def all(self) -> list[Model]:
        """The models."""
        return [Model(name, ARTIFACT, 2) for name in self.names]

    def get(self, name: str) -> Model:
        """The model of this name."""
        if name in self.names:
            return Model(name, ARTIFACT, 2)
        raise ModelError(404, "")

    def workers(self, _name: str) -> list[Worker]:
        """The workers of a model."""
        return [Worker(2, 0), Worker(3, 9)]

    def load_seconds(self, _name: str) -> list[float]:
        """The time of each load."""
        return self.loads


def metrics(models: FakeModels, **environment: str) -> Metrics:
    return Metrics(Settings.from_environment(environment), models)  # type: ignore[arg-type]


def scrape(*requests: dict[str, Any], in_flight: int = 0) -> bytes:
    """The metrics of a server with one model after these lines of its log."""
    subject = metrics(FakeModels("model"))
    for request in requests:
        subject.observe(request)
    return subject.render(in_flight)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("byoc_requests_total", 2),
        ("byoc_request_duration_seconds_count", 2),
        ("byoc_request_duration_seconds_sum", 0.04),
        ("byoc_queue_duration_seconds_sum", 0.008),
        ("byoc_batch_size_sum", 6),
        ("byoc_texts_total", 4),
        ("byoc_characters_total", 18),
        ("toy_longest_sum", 10),
        ("toy_longest_count", 2),
    ],
)
def test_answered_requests_are_counted(name: str, expected: float) -> None:
    assert value(scrape(ANSWER, ANSWER), name, model="model") == pytest.approx(expected)


def test_refused_request_has_no_texts() -> None:
    body = scrape(REFUSAL)
    assert value(body, "byoc_requests_total") == 1
    assert value(body, "byoc_request_duration_seconds_count") == 1
    for name in ("byoc_batch_size_count", "byoc_texts_total", "toy_longest_count"):
        assert value(body, name) == 0


@pytest.mark.parametrize(("status", "label"), [(200, "2xx"), (413, "4xx"), (503, "5xx"), (507, "5xx")])
def test_requests_are_counted_by_status_class(status: int, label: str) -> None:
    body = scrape(ANSWER, REFUSAL | {"status": status}, REFUSAL | {"status": status})
    assert value(body, "byoc_requests_total", status=label) - (label == "2xx") == 2


@pytest.mark.parametrize(
    ("latency", "bound"), [(0, 0.001), (0.001, 0.001), (0.002, 0.0025), (60, 60), (60.1, float("inf"))]
)
def test_latency_goes_into_its_bucket(latency: float, bound: float) -> None:
    counts = buckets(scrape(REFUSAL | {"latency": latency}), "byoc_request_duration_seconds")
    assert {count: min(b for b in counts if counts[b] == count) for count in counts.values()}[1] == bound


def test_latency_buckets_span_1_ms_to_60_s() -> None:
    counts = buckets(scrape(ANSWER), "byoc_request_duration_seconds")
    assert sorted(counts) == [*SECONDS, float("inf")]
    assert (SECONDS[0], SECONDS[-1]) == (0.001, 60)


def test_batch_buckets_reach_the_maximum() -> None:
    assert sorted(buckets(scrape(ANSWER), "byoc_batch_size")) == [*REQUESTS, float("inf")]
    Settings.from_environment({"SERVE_BATCH_SIZE": str(REQUESTS[-1])})


def test_request_to_no_model_has_empty_name() -> None:
    assert value(scrape(REFUSAL | {"path": "/none", "status": 404}), "byoc_requests_total", model="") == 1


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("byoc_workers_ready", 2),
        ("byoc_workers_busy", 1),
        ("byoc_worker_restarts_total", 0),
        ("byoc_model_load_seconds", 0.75),
    ],
)
def test_state_of_the_workers_is_read(name: str, expected: float) -> None:
    assert value(scrape(), name, model="model") == expected


def test_each_load_beyond_the_workers_is_a_restart() -> None:
    models = FakeModels("model")
    models.loads += [0.5, 0.25]
    body = metrics(models).render(0)
    assert value(body, "byoc_worker_restarts_total") == 2
    assert value(body, "byoc_model_load_seconds") == 0.25


def test_model_that_is_loading_has_no_load_time() -> None:
    models = FakeModels("model")
    models.loads.clear()
    body = metrics(models).render(0)
    assert value(body, "byoc_worker_restarts_total") == 0
    assert families(body)["byoc_model_load_seconds"].samples == []


def test_requests_in_flight_are_shown() -> None:
    assert value(scrape(in_flight=7), "byoc_requests_in_flight") == 7


def test_build_info_has_version_and_precision() -> None:
    body = metrics(FakeModels(), SERVE_PRECISION="auto").render(0)
    labels = {"version": version(), "package": "tests.support.toy", "precision": "auto"}
    assert value(body, "byoc_build_info", **labels) == 1


def invocation(name: str) -> dict[str, Any]:
    """The log line of an answer on a multi-model endpoint."""
    return ANSWER | {"path": f"/models/{name}/invoke"}


def test_requests_are_labeled_by_model() -> None:
    subject = metrics(FakeModels("a", "b"), **MULTI_MODEL)
    for name in ("a", "b", "a"):
        subject.observe(invocation(name))
    body = subject.render(0)
    assert [value(body, "byoc_texts_total", model=name) for name in "ab"] == [4, 2]
    assert [value(body, "byoc_workers_ready", model=name) for name in "ab"] == [2, 2]


def test_unknown_models_add_no_series() -> None:
    subject = metrics(FakeModels("a"), **MULTI_MODEL)
    for i in range(100):
        subject.observe(invocation(f"a{i}"))
    samples = families(subject.render(0))["byoc_requests"].samples
    assert [(sample.labels["model"], sample.value) for sample in samples] == [("", 100)]


def test_series_of_unloaded_model_end() -> None:
    models = FakeModels("a", "b")
    subject = metrics(models, **MULTI_MODEL)
    subject.observe(invocation("a"))
    subject.observe(invocation("b"))
    models.names.remove("a")
    body = subject.render(0)
    assert b'"b"' in body
    assert b'"a"' not in body


def test_output_parses_without_requests() -> None:
    assert families(scrape())["byoc_requests"].type == "counter"


@pytest.fixture
def server(nginx_program: str) -> Iterator[RunningNginx]:
    with running_nginx(nginx_program) as running:
        yield running


@pytest.mark.parametrize("level", ["info", "error"])
def test_histogram_counts_1000_requests(server: RunningNginx, level: str) -> None:
    """Counted by nginx, relayed by the log, whether or not it writes the line."""
    answers = iter([Response(200, b"[]", FIGURES), Response(400), Response(503), Response()] * 250)
    server.model = lambda _request: next(answers)
    connection = server.connect()
    for _ in range(1000):
        connection.request("POST", "/invocations", b"good")
        connection.getresponse().read()
    connection.close()
    requests = server.lines(1000)
    subject, log = metrics(FakeModels("model")), Log(level)
    log.observe = subject.observe
    log.relay(io.StringIO("".join(server.log)), "nginx", "info").join()
    body = subject.render(0)
    counts = buckets(body, "byoc_request_duration_seconds")
    assert counts == {bound: sum(r["latency"] <= bound for r in requests) for bound in counts}
    assert counts[float("inf")] == value(body, "byoc_request_duration_seconds_count") == 1000
    statuses = [value(body, "byoc_requests_total", status=status) for status in ("2xx", "4xx", "5xx")]
    assert statuses == [500, 250, 250]
    assert value(body, "byoc_texts_total") == 500
