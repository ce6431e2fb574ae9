"""Whether a ping is answered with 200, and if not, why."""

import time
from collections.abc import Sequence

import pytest

from sentiment.workers import Worker
from serving import health
from serving.health import Health


class FakeModels:
    """Models whose only one has these workers."""

    def __init__(self, busy_seconds: Sequence[float]) -> None:
        self._busy_seconds = busy_seconds

    def workers(self, name: str) -> list[Worker]:
        """Those of the model."""
        assert name == "model"
        return [Worker(pid, seconds) for pid, seconds in enumerate(self._busy_seconds, start=2)]


def reason(*busy_seconds: float, multi_model: bool = False) -> str | None:
    """Of a server that answers."""
    subject = Health(FakeModels(busy_seconds), 60, multi_model=multi_model)  # type: ignore[arg-type]
    subject.server_answered()
    return subject.reason_against()


@pytest.mark.parametrize(
    "busy_seconds",
    [(0,), (0, 0), (59,), (59, 59), (0, 59), (61, 0), (1000, 59)],
)
def test_worker_that_is_idle_or_within_its_time_is_enough(busy_seconds: Sequence[float]) -> None:
    assert reason(*busy_seconds) is None


def test_no_worker() -> None:
    assert reason() == "no worker has loaded the model"


@pytest.mark.parametrize("busy_seconds", [(61,), (61, 1000)])
def test_every_worker_over_its_time(busy_seconds: Sequence[float]) -> None:
    assert reason(*busy_seconds) == "every worker has been busy with one request for more than 60 s"


def test_server_that_has_not_answered_yet() -> None:
    subject = Health(FakeModels([0]), 60, multi_model=False)  # type: ignore[arg-type]
    assert subject.reason_against() == "the model server does not answer"


def test_server_that_no_longer_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    subject = Health(FakeModels([0]), 60, multi_model=False)  # type: ignore[arg-type]
    subject.server_answered()
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + health.SILENCE_SECONDS + 1)
    assert subject.reason_against() == "the model server does not answer"


def test_server_that_answers_again(monkeypatch: pytest.MonkeyPatch) -> None:
    subject = Health(FakeModels([0]), 60, multi_model=False)  # type: ignore[arg-type]
    subject.server_answered()
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + health.SILENCE_SECONDS + 1)
    subject.server_answered()
    assert subject.reason_against() is None


def test_multi_model_endpoint_is_healthy_without_a_model() -> None:
    assert reason(multi_model=True) is None


def test_multi_model_endpoint_needs_its_server() -> None:
    subject = Health(FakeModels([]), 60, multi_model=True)  # type: ignore[arg-type]
    assert subject.reason_against() == "the model server does not answer"
