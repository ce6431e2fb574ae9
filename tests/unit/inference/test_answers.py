"""Answers: status, media type, headers, metrics and explanations."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

import inference
from byoc.serving import request
from tests.support import toy
from tests.support.handler import JSON, TEXT, ask, context, error, let_answer


def test_answer_has_status_and_content_type() -> None:
    answer = ask(b'"great"', JSON)
    assert (answer.status, answer.content_type) == (200, "application/json")
    assert json.loads(answer.body) == [{"answer": "GREAT", "length": 5}]


@pytest.mark.parametrize("name", ["content-type", "Content-Type", "CONTENT-TYPE"])
def test_header_names_ignore_case(name: str) -> None:
    assert ask(b"great", {name: "text/plain"}).status == 200


def test_malformed_header_is_ignored() -> None:
    # The server adds values that are no headers.
    assert ask(b"great", TEXT | {"body": bytearray(b"x"), "accept": None}).status == 200


def test_accept_selects_the_media_type() -> None:
    answer = ask(b"great", TEXT | {"accept": "text/csv"})
    assert answer.content_type == "text/csv"
    assert answer.body.startswith(b"GREAT,5")


@pytest.mark.parametrize(
    ("accept", "expected"),
    [(None, "text/csv"), ("*/*", "text/csv"), ("", "text/csv"), ("application/json", "application/json")],
)
def test_accept_default_comes_from_environment(reload: Any, accept: str | None, expected: str) -> None:
    reload(SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT="text/csv")
    headers = TEXT if accept is None else TEXT | {"Accept": accept}
    assert ask(b"great", headers).content_type == expected


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"{", JSON, 400),
        (b"great", TEXT | {"Accept": "text/html"}, 406),
        (b"great", {"Content-Type": "application/x-npy"}, 415),
        (b"great", {}, 415),
    ],
)
def test_refusal_has_status_and_reason(body: bytes, headers: dict[str, str], status: int) -> None:
    answer = ask(body, headers)
    assert answer.status == status
    assert error(answer)


def test_form_is_refused() -> None:
    asked = context(Path("/nowhere"), [{"Content-Type": "application/x-www-form-urlencoded"}])
    inference.handle([{"text": "great"}], asked)
    assert asked.get_response_status(0)[0] == 415


@pytest.mark.parametrize(
    ("variable", "body", "reason"),
    [
        ("SERVE_MAX_TEXTS", b'["a", "b", "c"]', "more than 2 texts; send them in several requests"),
        ("SERVE_MAX_CHARACTERS", b'"abc"', "body: 3 characters, expected at most 2"),
    ],
)
def test_limits_come_from_the_environment(reload: Any, variable: str, body: bytes, reason: str) -> None:
    reload(**{variable: "2"})
    answer = ask(body, JSON)
    assert (answer.status, error(answer)) == (400, reason)


def test_default_limits_are_byocs() -> None:
    worker = inference._worker
    assert worker is not None
    assert worker.limits == request.Limits(text_fields=("text", "sentence", "inputs"), labels=("good", "bad"))


@pytest.mark.parametrize("value", ["trace=1", "a", " ~", "x" * 1024])
def test_custom_attributes_are_returned(value: str) -> None:
    answer = ask(b"great", TEXT | {"x-amzn-sagemaker-custom-attributes": value})
    assert answer.headers["X-Amzn-SageMaker-Custom-Attributes"] == value


@pytest.mark.parametrize("value", ["", "a\r\nSet-Cookie: b", "a\x7f", "a\tb", "é", "\udcff", "\u2028"])
def test_unprintable_custom_attributes_are_dropped(value: str) -> None:
    answer = ask(b"great", TEXT | {"X-Amzn-SageMaker-Custom-Attributes": value})
    assert answer.status == 200
    assert "X-Amzn-SageMaker-Custom-Attributes" not in answer.headers


def test_refusal_returns_custom_attributes() -> None:
    assert (
        "X-Amzn-SageMaker-Custom-Attributes"
        in ask(b"{", JSON | {"X-Amzn-SageMaker-Custom-Attributes": "a"}).headers
    )


def test_answer_has_metrics() -> None:
    answer = ask(b'["great film", "great qqqq", ""]', JSON | {"X-Received": str(time.time() + 60)})
    assert answer.headers == {
        "X-batch-size": "1",
        "X-queue-seconds": "0.0",
        "X-texts": "3",
        "X-characters": "20",
        "X-longest": "10",
    }


def test_refusal_has_batch_metrics_only() -> None:
    assert set(ask(b"{", JSON).headers) == {"X-batch-size", "X-queue-seconds"}


@pytest.mark.parametrize("received", ["", "soon", "nan", "1e999"])
def test_malformed_time_of_arrival_is_0(received: str) -> None:
    assert ask(b"great", TEXT | {"X-Received": received}).headers["X-queue-seconds"] == "0.0"


def test_metrics_are_json_numbers() -> None:
    for value in ask(b'["great", "qqqq"]', JSON).headers.values():
        assert type(json.loads(value)) in (int, float)


def test_servers_own_metrics_are_off() -> None:
    asked = context(Path("/nowhere"), [TEXT])
    inference.handle([{"body": bytearray(b"great")}], asked)
    assert asked.metrics is None


def test_answer_that_is_no_json_is_500(monkeypatch: pytest.MonkeyPatch) -> None:
    let_answer(monkeypatch, length=float("nan"))
    assert [ask(b"great", TEXT | {"Accept": accept}).status for accept in ("*/*", "text/plain")] == [500, 500]


def test_metric_that_is_no_json_is_500(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(toy.Model, "metrics", lambda *_: {"longest": float("inf")})
    assert ask(b"great", TEXT).status == 500


EXPLAINED = b'{"inputs": ["great", "not great"], "parameters": {"explain": true}}'


def test_explanation_joins_the_prediction() -> None:
    assert json.loads(ask(EXPLAINED, JSON).body) == [
        {"answer": "GREAT", "length": 5, "explanation": {"words": 1}},
        {"answer": "NOT GREAT", "length": 9, "explanation": {"words": 2}},
    ]


@pytest.mark.parametrize("value", [b"false", b'"true"', b"{}"])
def test_explanation_needs_the_value_true(value: bytes) -> None:
    (result,) = json.loads(ask(b'{"inputs": "a", "parameters": {"explain": %s}}' % value, JSON).body)
    assert "explanation" not in result


def test_model_without_explanations_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(toy.Model, "explain")
    answer = ask(EXPLAINED, JSON)
    assert (answer.status, error(answer)) == (
        400,
        "this model offers no explanations; leave out the parameter explain",
    )
