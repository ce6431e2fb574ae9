"""Request bodies to texts, and predictions to response bodies."""

import csv
import json

import pytest

from byoc.errors import MalformedBodyError, NotAcceptableError, RequestError, UnsupportedMediaTypeError
from byoc.serving.payload import (
    CSV,
    JSON,
    JSON_LINES,
    TEXT,
    choose_media_type,
    decode,
    decode_records,
    encode,
)
from sentiment.model.predictor import Prediction

PREDICTIONS = [Prediction("positive", 0.97312345), Prediction("negative", 0.5)]


@pytest.mark.parametrize(
    ("body", "texts"),
    [
        ('{"inputs": "a"}', ["a"]),
        ('{"inputs": ["a", "b"]}', ["a", "b"]),
        ('{"inputs": []}', []),
        ('{"instances": [{"text": "a"}, {"text": "b"}]}', ["a", "b"]),
        ('{"instances": ["a"]}', ["a"]),
        ('"a"', ["a"]),
        ('["a", "b"]', ["a", "b"]),
        ('\ufeff"a"', ["a"]),
    ],
)
def test_json_in_every_form(body: str, texts: list[str]) -> None:
    assert decode(body.encode(), JSON) == texts


@pytest.mark.parametrize(
    ("body", "texts"),
    [
        ('{"text": "a"}\n{"inputs": "b"}\n"c"', ["a", "b", "c"]),
        ('{"text": "a"}\n', ["a"]),
        ('{"text": "a"}\r\n{"text": "b"}\r\n', ["a", "b"]),
        ('"line\u2028separator\\nno line end"', ["line\u2028separator\nno line end"]),
    ],
)
def test_json_lines_in_every_form(body: str, texts: list[str]) -> None:
    assert decode(body.encode(), JSON_LINES) == texts


@pytest.mark.parametrize(
    ("body", "texts"),
    [
        ('"a, b"\n"c ""d"""\n', ["a, b", 'c "d"']),
        ('"a\nb"', ["a\nb"]),
        ("one\ntwo\n", ["one", "two"]),
        ("one, unquoted, line\n", ["one, unquoted, line"]),
        ('I "loved" it, really', ['I "loved" it, really']),
        ("one\r\n", ["one"]),
        ('"one"\r\n"two"\r\n', ["one", "two"]),
        ('""\n', [""]),
        ("a\rb\nnul\0\n", ["a\rb", "nul\0"]),
    ],
)
def test_csv_in_every_form(body: str, texts: list[str]) -> None:
    assert decode(body.encode(), CSV) == texts


def test_text_is_one_review() -> None:
    assert decode(b"a\nb\n", TEXT) == ["a\nb\n"]


@pytest.mark.parametrize(
    "content_type",
    [
        "Text/Plain",
        "text/plain; charset=utf-8",
        "text/plain;charset=UTF8",
        'text/plain; Charset="utf-8"; x=";"',
    ],
)
def test_content_type_with_parameters_and_in_any_case(content_type: str) -> None:
    assert decode("\u00e9".encode(), content_type) == ["\u00e9"]


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "application/x-npy",
        "text/plain; charset=latin-1",
        "text/plain; charset*=utf-8''x; charset=x",
        "nonsense",
    ],
)
def test_other_content_type_is_refused(content_type: str) -> None:
    with pytest.raises(UnsupportedMediaTypeError):
        decode(b"a", content_type)


@pytest.mark.parametrize(
    ("body", "content_type", "message"),
    [
        ("", JSON, "line 1, column 1: not JSON"),
        ('{"inputs":\n "a', JSON, "line 2, column 2: not JSON"),
        ("{}", JSON, 'expected an object with "inputs" or "instances"'),
        ("3", JSON, "body: expected a string"),
        ('{"inputs": ["a", 3]}', JSON, r"inputs\[1\]: expected a string"),
        ('{"instances": [{"txt": "a"}]}', JSON, r"instances\[0\]: expected a string, or an object"),
        ("[" * 100_000, JSON, "not JSON"),
        ('{"inputs": ' + "9" * 10_000 + "}", JSON, "inputs: expected a string"),
        ('{"inputs": ["a", 1e999999]}', JSON, r"inputs\[1\]: expected a string"),
        ('"a"\n\n"b"', JSON_LINES, "line 2, column 1: not JSON"),
        ('"a"\n{"text": "b"', JSON_LINES, "line 2, column 13: not JSON"),
        ('"a"\n7', JSON_LINES, "line 2: expected a string"),
        ("a,b\nc\n", CSV, "row 1: 2 columns, expected 1; put each review in double quotes"),
        ('"a"\n\n"b"', CSV, "row 2: empty"),
        ('"a" b\n', CSV, "row 1: expected one review in double quotes"),
        ('"a', CSV, "row 1: expected one review in double quotes"),
        ('"a","b"', CSV, "row 1: expected one review in double quotes"),
        ("", CSV, "empty"),
        ("", TEXT, "empty"),
    ],
)
def test_malformed_body_is_refused_with_reason_and_position(
    body: str, content_type: str, message: str
) -> None:
    with pytest.raises(MalformedBodyError, match=message):
        decode(body.encode(), content_type)


@pytest.mark.parametrize("content_type", [JSON, JSON_LINES, CSV, TEXT])
def test_body_that_is_not_utf8_is_refused_with_the_byte_offset(content_type: str) -> None:
    with pytest.raises(MalformedBodyError, match="not UTF-8 at byte offset 3"):
        decode(b"caf\xe9", content_type)


@pytest.mark.parametrize(
    ("body", "content_type", "records"),
    [
        (b'"a"\n{"text"\n\n"b"\n7', JSON_LINES, ["a", "line 2, ", "line 3, ", "b", "line 5: "]),
        (b'"a"\n"\xff"\n"b"', JSON_LINES, ["a", "line 2: not UTF-8 at byte offset 1", "b"]),
        (b"\n", JSON_LINES, ["line 1, column 1: not JSON"]),
        (b"", JSON_LINES, ["line 1, column 1: not JSON"]),
        (b'"a\nb"\n"c\nd\n"e"', CSV, ["a\nb", "row 2: expected one review", "d", "e"]),
        (b'"a"\nb,c\n\n\xff\nd\n', CSV, ["a", "row 2: 2 columns", "row 3: empty", "row 4: not UTF-8", "d"]),
        (b"", CSV, ["row 1: empty"]),
        (b'["a", 7, "b"]', JSON, ["a", "body[1]: expected a string", "b"]),
        (b'{"inputs": "a"\n', JSON, ["line 2, column 1: not JSON"]),
        (b"", TEXT, ["body: empty"]),
        (b"a\nb", TEXT, ["a\nb"]),
    ],
)
def test_bad_record_is_an_error_in_its_place(body: bytes, content_type: str, records: list[str]) -> None:
    actual = decode_records(body, content_type)
    assert len(actual) == len(records)
    for record, expected in zip(actual, records, strict=True):
        if isinstance(record, RequestError):
            assert str(record).startswith(expected)
        else:
            assert record == expected


def test_several_lines_that_are_not_json_together_are_refused() -> None:
    with pytest.raises(MalformedBodyError, match="Extra data"):
        decode_records(b'{"inputs": "a"}\n{"inputs": "b"}\n', JSON)


def test_other_content_type_is_refused_for_records_too() -> None:
    with pytest.raises(UnsupportedMediaTypeError):
        decode_records(b"a", "image/png")


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
    assert choose_media_type(accept, content_type) == chosen


@pytest.mark.parametrize(
    "accept", ["text/html", "application/x-npy", "text/csv;q=0", "text/csv;q=high", "text/csv;q=nan"]
)
def test_unacceptable_is_refused(accept: str) -> None:
    with pytest.raises(NotAcceptableError, match="expected one of application/json"):
        choose_media_type(accept, JSON)


def test_json_answer() -> None:
    assert json.loads(encode(PREDICTIONS, JSON)) == [
        {"label": "positive", "probability": 0.973123},
        {"label": "negative", "probability": 0.5},
    ]


def test_json_lines_answer_has_a_line_a_prediction_and_no_line_end_behind() -> None:
    lines = encode(PREDICTIONS, JSON_LINES).split(b"\n")
    assert [json.loads(line)["label"] for line in lines] == ["positive", "negative"]


def test_csv_answer() -> None:
    assert encode(PREDICTIONS, CSV) == b"positive,0.973123\nnegative,0.500000"


ANSWERS: list[Prediction | RequestError] = [
    PREDICTIONS[0],
    MalformedBodyError('line 2: "not"\n\ud800JSON'),
    PREDICTIONS[1],
]


@pytest.mark.parametrize("media_type", [JSON, JSON_LINES])
def test_error_record_in_json(media_type: str) -> None:
    body = encode(ANSWERS, media_type).decode()
    records = json.loads(body) if media_type == JSON else [json.loads(line) for line in body.split("\n")]
    assert records[1] == {"error": 'line 2: "not"\n\ud800JSON'}
    assert [record.get("label") for record in records] == ["positive", None, "negative"]


def test_error_record_in_csv_is_a_line_with_as_many_columns() -> None:
    rows = list(csv.reader(encode(ANSWERS, CSV).decode().split("\n"), strict=True))
    assert rows[1] == ["error", 'line 2: "not" \\ud800JSON']
    assert [len(row) for row in rows] == [2, 2, 2]
