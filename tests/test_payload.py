"""Request bodies to texts, and predictions to response bodies."""

import contextlib
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sentiment.errors import MalformedBodyError, NotAcceptableError, RequestError, UnsupportedMediaTypeError
from sentiment.payload import CSV, JSON, JSON_LINES, TEXT, choose_media_type, decode, encode
from sentiment.predictor import Prediction

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
    ],
)
def test_csv_in_every_form(body: str, texts: list[str]) -> None:
    assert decode(body.encode(), CSV) == texts


def test_text_is_one_review() -> None:
    assert decode(b"a\nb\n", TEXT) == ["a\nb\n"]


@pytest.mark.parametrize(
    "content_type", ["Text/Plain", "text/plain; charset=utf-8", "text/plain;charset=UTF8"]
)
def test_content_type_with_parameters_and_in_any_case(content_type: str) -> None:
    assert decode("\u00e9".encode(), content_type) == ["\u00e9"]


@pytest.mark.parametrize("content_type", ["", "application/x-npy", "text/plain; charset=latin-1", "nonsense"])
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
        ('{"inputs": ' + "9" * 10_000 + "}", JSON, "not JSON"),
        ('"a"\n\n"b"', JSON_LINES, "line 2, column 1: not JSON"),
        ('"a"\n{"text": "b"', JSON_LINES, "line 2, column 13: not JSON"),
        ('"a"\n7', JSON_LINES, "line 2: expected a string"),
        ("a,b\nc\n", CSV, "row 1: 2 columns, expected 1; put each review in double quotes"),
        ('"a"\n\n"b"', CSV, "row 2: 0 columns"),
        ('"a" b\n', CSV, "row 1: "),
        ('"a', CSV, "row 1: "),
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


@settings(max_examples=500, deadline=None)
@given(st.binary(max_size=200), st.sampled_from([JSON, JSON_LINES, CSV, TEXT, "x/y"]))
def test_any_bytes_give_texts_or_a_refusal(body: bytes, content_type: str) -> None:
    texts = []
    with contextlib.suppress(RequestError):
        texts = decode(body, content_type)
    assert all(isinstance(text, str) for text in texts)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.text(), min_size=1))
def test_any_texts_survive_json_lines(texts: list[str]) -> None:
    body = "\n".join(json.dumps({"text": text}) for text in texts)
    assert decode(body.encode(), JSON_LINES) == texts


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


@pytest.mark.parametrize("accept", ["text/html", "application/x-npy", "text/csv;q=0", "text/csv;q=high"])
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
