"""Results to response bodies, and content negotiation."""

import csv
import json

import pytest

from byoc.errors import MalformedBodyError, NotAcceptableError, RequestError
from byoc.model import Result
from byoc.serving.request import CSV, JSON, JSON_LINES, TEXT
from byoc.serving.response import Fields, choose_media_type, encode

FIELDS = Fields(("label", "probability"), "probability")
PREDICTIONS: list[Result] = [
    {"label": "positive", "probability": 0.973123, "_hidden": 1},
    {"label": "negative", "probability": 0.5},
]


@pytest.mark.parametrize(
    ("accept", "content_type", "chosen"),
    [
        (None, JSON, JSON),
        ("*/*", TEXT, JSON),
        (None, JSON_LINES, JSON_LINES),
        (None, CSV, CSV),
        ("application/json", CSV, JSON),
        ("Application/JSON; charset=utf-8", CSV, JSON),
        ("text/csv", JSON, CSV),
        ("text/*", JSON, CSV),
        ("application/jsonlines", JSON, JSON_LINES),
        ("text/html, application/json;q=0.5, text/csv;q=0.9", JSON, CSV),
        ("text/csv;q=0, */*", CSV, JSON),
        ("", JSON, JSON),
    ],
)
def test_accept_chooses_the_answer(accept: str | None, content_type: str, chosen: str) -> None:
    assert choose_media_type(accept, content_type, FIELDS) == chosen


@pytest.mark.parametrize("accept", ["application/x-ndjson", "application/jsonl;q=0.5"])
def test_accept_may_be_an_alias(accept: str) -> None:
    assert choose_media_type(accept, CSV, FIELDS) == JSON_LINES


def test_lines_of_text_are_answered_in_lines() -> None:
    assert choose_media_type(None, TEXT, FIELDS, batch=True) == JSON_LINES
    assert choose_media_type(JSON, TEXT, FIELDS, batch=True) == JSON


@pytest.mark.parametrize(
    "accept", ["text/html", "application/x-npy", "text/csv;q=0", "text/csv;q=high", "text/csv;q=nan"]
)
def test_unacceptable_is_refused(accept: str) -> None:
    with pytest.raises(NotAcceptableError, match="expected one of application/json"):
        choose_media_type(accept, JSON, FIELDS)


def test_json_answer() -> None:
    assert json.loads(encode(PREDICTIONS, JSON, FIELDS)) == [
        {"label": "positive", "probability": 0.973123},
        {"label": "negative", "probability": 0.5},
    ]


def test_json_lines_answer_lacks_final_newline() -> None:
    lines = encode(PREDICTIONS, JSON_LINES, FIELDS).split(b"\n")
    assert [json.loads(line)["label"] for line in lines] == ["positive", "negative"]


def test_csv_answer() -> None:
    assert encode(PREDICTIONS, CSV, FIELDS) == b"positive,0.973123\nnegative,0.5"


ANSWERS: list[Result | RequestError] = [
    PREDICTIONS[0],
    MalformedBodyError('line 2: "not"\n\ud800JSON'),
    PREDICTIONS[1],
]


@pytest.mark.parametrize("media_type", [JSON, JSON_LINES])
def test_error_record_in_json(media_type: str) -> None:
    body = encode(ANSWERS, media_type, FIELDS).decode()
    records = json.loads(body) if media_type == JSON else [json.loads(line) for line in body.split("\n")]
    assert records[1] == {"error": 'line 2: "not"\n\ud800JSON'}
    assert [record.get("label") for record in records] == ["positive", None, "negative"]


def test_csv_error_has_all_columns() -> None:
    rows = list(csv.reader(encode(ANSWERS, CSV, FIELDS).decode().split("\n"), strict=True))
    assert rows[1] == ["error", 'line 2: "not" \\ud800JSON']
    assert [len(row) for row in rows] == [2, 2, 2]


def test_csv_reason_is_in_the_last_column() -> None:
    fields = Fields(("label", "score", "probability", "warning"))
    result = {"label": None, "score": None, "probability": None, "warning": "no, word"}
    assert encode([MalformedBodyError("no"), result], CSV, fields) == b'error,,,"no"\n,,,"no, word"'


def test_plain_answer_without_value_is_an_error() -> None:
    results: list[Result] = [{"probability": None, "warning": "no\nword"}, {"probability": None}]
    assert encode(results, TEXT, FIELDS) == b"error: no word\nerror: no probability"


def test_plain_answer_has_one_field() -> None:
    assert encode(ANSWERS, TEXT, FIELDS).split(b"\n") == [
        b"0.973123",
        b'error: line 2: "not" \\ud800JSON',
        b"0.5",
    ]


def test_plain_needs_a_plain_field() -> None:
    with pytest.raises(NotAcceptableError, match="text/plain"):
        choose_media_type("text/plain", JSON, Fields())


def test_csv_without_fields_has_all_keys() -> None:
    assert encode([{"a": 1, "b": 'x "y", z', "c": None}], CSV, Fields()) == b'1,"x ""y"", z",'


@pytest.mark.parametrize("media_type", [JSON, JSON_LINES, CSV, TEXT])
def test_number_that_is_not_finite_raises(media_type: str) -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        encode([{"label": "positive", "probability": float("nan")}], media_type, FIELDS)
