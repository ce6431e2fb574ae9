"""Records of batch transform, and texts that the model truncates."""

import json
from pathlib import Path
from typing import Any

import pytest

import inference
from tests.support.handler import JSON, LINES, TEXT, ask, context, error, let_answer

LINES_OF_WHICH_ONE_IS_BAD = b'{"text": "great"}\n{"text": 7}\n"worst"\n'


def test_bad_line_is_named() -> None:
    answer = ask(LINES_OF_WHICH_ONE_IS_BAD, LINES)
    assert answer.status == 400
    assert error(answer) == 'line 2: expected a string, or an object with "text", "sentence" or "inputs"'


@pytest.mark.parametrize("flag", ["true", "True"])
def test_batch_transform_answers_bad_line_inline(reload: Any, flag: str) -> None:
    reload(SAGEMAKER_BATCH=flag)
    answer = ask(LINES_OF_WHICH_ONE_IS_BAD, LINES)
    assert answer.status == 200
    assert [sorted(json.loads(line)) for line in answer.body.split(b"\n")] == [
        ["answer", "length"],
        ["error"],
        ["answer", "length"],
    ]


def test_metrics_count_good_lines_only(reload: Any) -> None:
    reload(SAGEMAKER_BATCH="true")
    figures = ask(LINES_OF_WHICH_ONE_IS_BAD, LINES).headers
    assert (figures["X-texts"], figures["X-characters"]) == ("2", "10")


def test_batch_transform_has_no_limit_of_texts(reload: Any) -> None:
    reload(SAGEMAKER_BATCH="true", SERVE_MAX_TEXTS="2")
    answer = ask(b'"a"\n' * 19_000, LINES)
    assert (answer.status, answer.headers["X-texts"]) == (200, "19000")


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"[1,\n2", JSON),
        (b"great", {"Content-Type": "image/png"}),
        (b"1\n2\n", LINES),
        (b"id,stars\n1,2\n", {"Content-Type": "text/csv; header=present"}),
    ],
)
def test_batch_transform_refuses_nothing_but_errors(
    reload: Any, body: bytes, headers: dict[str, str]
) -> None:
    reload(SAGEMAKER_BATCH="true")
    assert ask(b"great", TEXT).status == 200
    assert ask(body, headers).status == 400


def test_first_single_record_without_text_is_refused(reload: Any, tmp_path: Path) -> None:
    reload(SAGEMAKER_BATCH="true")
    no_text = (b'{"stars": 1}', LINES)
    assert [ask(*no_text).status, ask(*no_text).status] == [400, 400]
    assert [ask(b'{"text": "a"}', LINES).status, ask(*no_text).status] == [200, 200]
    assert "error" in json.loads(ask(*no_text).body)
    # Another worker of the container.
    inference.handle(None, context(tmp_path / "models" / "model"))
    assert ask(*no_text).status == 200


def test_header_alone_is_no_decoded_record(reload: Any) -> None:
    reload(SAGEMAKER_BATCH="true")
    statuses = [ask(row, {"Content-Type": "text/csv"}).status for row in (b"id,text", b'1,"A film."')]
    assert statuses == [200, 400]


def test_unusable_text_is_an_error_record(reload: Any) -> None:
    reload(SAGEMAKER_BATCH="true")
    answer = ask(b"\xff", TEXT)
    assert (answer.status, answer.headers["X-texts"]) == (200, "0")
    assert json.loads(answer.body) == {"error": "line 1: not UTF-8 at byte offset 0"}


def test_batch_transform_predicts_lines_of_text(reload: Any) -> None:
    reload(SAGEMAKER_BATCH="true")
    answer = ask(b"great\nfilm\n\n", TEXT)
    assert (answer.content_type, answer.headers["X-texts"]) == ("application/jsonlines", "2")
    assert [json.loads(line)["answer"] for line in answer.body.split(b"\n")] == ["GREAT", "FILM"]


@pytest.mark.parametrize(("variable", "status"), [("", 200), ("truncate", 200), ("Refuse", 400)])
def test_truncated_text_may_be_refused(
    reload: Any, monkeypatch: pytest.MonkeyPatch, variable: str, status: int
) -> None:
    let_answer(monkeypatch, truncated=True)
    reload(SERVE_LONG_TEXTS=variable)
    answer = ask(b'["good", "great"]', JSON)
    assert answer.status == status
    if status == 200:
        assert [result.get("truncated") for result in json.loads(answer.body)] == [None, True]
    else:
        assert error(answer) == "text 2: longer than the model uses; shorten it"


def test_refused_truncated_text_is_an_error_record(reload: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    let_answer(monkeypatch, truncated=True)
    reload(SERVE_LONG_TEXTS="refuse", SAGEMAKER_BATCH="true")
    answer = ask(b'"good"\n"great"\n7', LINES)
    assert [next(iter(json.loads(line))) for line in answer.body.split(b"\n")] == ["answer", "error", "error"]
