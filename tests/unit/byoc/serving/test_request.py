"""Request bodies to texts: formats, limits, and the cost of reading."""

import contextlib
import json
import tracemalloc
from collections.abc import Callable

import pytest

from byoc.errors import MalformedBodyError, RequestError, UnsupportedMediaTypeError
from byoc.serving.request import CSV, JSON, JSON_LINES, TEXT, Limits, decode, decode_records

FEW = Limits(texts=3, characters=4)
LISTS: dict[str, Callable[[list[str]], str]] = {
    JSON: json.dumps,
    JSON_LINES: lambda texts: "\n".join(map(json.dumps, texts)),
    CSV: lambda texts: "\n".join(f'"{text}"' for text in texts),
}
SIZE = 2**17


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
def test_content_type_with_parameters(content_type: str) -> None:
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
        ("a,b\nc\n", CSV, "row 1: 2 columns, expected 1; put each text in double quotes"),
        ('"a"\n\n"b"', CSV, "row 2: empty"),
        ('"a" b\n', CSV, "row 1: expected one text in double quotes"),
        ('"a', CSV, "row 1: expected one text in double quotes"),
        ('"a","b"', CSV, "row 1: expected one text in double quotes"),
        ("", CSV, "empty"),
        ("", TEXT, "empty"),
    ],
)
def test_malformed_body_is_refused_with_position(body: str, content_type: str, message: str) -> None:
    with pytest.raises(MalformedBodyError, match=message):
        decode(body.encode(), content_type)


@pytest.mark.parametrize("content_type", [JSON, JSON_LINES, CSV, TEXT])
def test_invalid_utf8_is_refused_with_offset(content_type: str) -> None:
    with pytest.raises(MalformedBodyError, match="not UTF-8 at byte offset 3"):
        decode(b"caf\xe9", content_type)


@pytest.mark.parametrize(
    ("body", "content_type", "records"),
    [
        (b'"a"\n{"text"\n\n"b"\n7', JSON_LINES, ["a", "line 2, ", "line 3, ", "b", "line 5: "]),
        (b'"a"\n"\xff"\n"b"', JSON_LINES, ["a", "line 2: not UTF-8 at byte offset 1", "b"]),
        (b"\n", JSON_LINES, ["line 1, column 1: not JSON"]),
        (b"", JSON_LINES, ["line 1, column 1: not JSON"]),
        (b'"a\nb"\n"c\nd\n"e"', CSV, ["a\nb", "row 2: expected one text", "d", "e"]),
        (b'"a"\nb,c\n\n\xff\nd\n', CSV, ["a", "row 2: 2 columns", "row 3: empty", "row 4: not UTF-8", "d"]),
        (b"", CSV, ["row 1: empty"]),
        (b'["a", 7, "b"]', JSON, ["a", "body[1]: expected a string", "b"]),
        (b'{"inputs": "a"\n', JSON, ["line 2, column 1: not JSON"]),
        (b"", TEXT, ["body: empty"]),
        (b"a\nb", TEXT, ["a\nb"]),
    ],
)
def test_bad_record_is_an_error_record(body: bytes, content_type: str, records: list[str]) -> None:
    actual = decode_records(body, content_type)
    assert len(actual) == len(records)
    for record, expected in zip(actual, records, strict=True):
        if isinstance(record, RequestError):
            assert str(record).startswith(expected)
        else:
            assert record == expected


def test_several_json_lines_are_no_json() -> None:
    with pytest.raises(MalformedBodyError, match="Extra data"):
        decode_records(b'{"inputs": "a"}\n{"inputs": "b"}\n', JSON)


def test_records_refuse_other_content_type() -> None:
    with pytest.raises(UnsupportedMediaTypeError):
        decode_records(b"a", "image/png")


@pytest.mark.parametrize("content_type", LISTS)
def test_as_many_texts_as_allowed(content_type: str) -> None:
    assert decode(LISTS[content_type](["a", "b", "c"]).encode(), content_type, FEW) == ["a", "b", "c"]


@pytest.mark.parametrize("content_type", LISTS)
def test_more_texts_are_refused(content_type: str) -> None:
    with pytest.raises(MalformedBodyError, match="more than 3 texts"):
        decode(LISTS[content_type](["a"] * 4).encode(), content_type, FEW)


@pytest.mark.parametrize("content_type", LISTS)
def test_records_above_limit_are_errors(content_type: str) -> None:
    records = decode_records(LISTS[content_type](["a"] * 5).encode(), content_type, FEW)
    assert [str(record) for record in records] == ["a"] * 3 + [
        "more than 3 texts; send them in several requests"
    ] * 2


@pytest.mark.parametrize("content_type", [*LISTS, TEXT])
def test_length_counts_in_characters(content_type: str) -> None:
    def body(text: str) -> bytes:
        return (text if content_type == TEXT else LISTS[content_type]([text])).encode()

    assert decode(body("\U0001f600" * 4), content_type, FEW) == ["\U0001f600" * 4]
    with pytest.raises(MalformedBodyError, match=": 5 characters, expected at most 4"):
        decode(body("abcde"), content_type, FEW)


def test_default_limits() -> None:
    assert Limits() == Limits(texts=10_000, characters=20_000)
    assert len(decode(json.dumps(["a"] * 10_000).encode(), JSON)) == 10_000
    assert len(decode(b"a" * 20_000, TEXT)[0]) == 20_000


@pytest.mark.parametrize(
    "item", ['{"text": "a"}', '{"text": "a", "id": 7, "stars": 5, "film": "b", "tags": ["c", "d"]}']
)
def test_objects_may_have_other_keys(item: str) -> None:
    assert len(decode(f"[{','.join([item] * 10_000)}]".encode(), JSON)) == 10_000


@pytest.mark.parametrize(
    ("piece", "content_type"),
    [
        ("[],", JSON),
        ("{},", JSON),
        ('{"":0},', JSON),
        ('"",', JSON),
        ('"ab",', JSON),
        ('"\\u00e9",', JSON),
        ("1,", JSON),
        ("1", JSON),
        ("[", JSON),
        ('{"a":', JSON),
        ('"', JSON),
        ('\\"', JSON),
        ('"\\"', JSON),
        (",", JSON),
        ("\n", JSON_LINES),
        ('""\n', JSON_LINES),
        ("[],", JSON_LINES),
        ('"', JSON_LINES),
        ("\n", CSV),
        ("a\n", CSV),
        ('"', CSV),
        ('""\n', CSV),
        ('"a\n', CSV),
        ('"a\nb\n', CSV),
        ('a","c\n', CSV),
        (",", CSV),
    ],
)
@pytest.mark.parametrize("start", ["", '{"inputs":[', '"'])
def test_memory_is_proportional_to_body(piece: str, content_type: str, start: str) -> None:
    """In memory, and in time too: were it quadratic, this test would not come to its end."""
    body = (start + piece * (SIZE // len(piece))).encode()
    tracemalloc.start()
    with contextlib.suppress(MalformedBodyError):
        decode_records(body, content_type, Limits(texts=100))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 12 * SIZE


def test_text_field_of_the_package_counts() -> None:
    limits = Limits(text_fields=("sentence", "inputs"))
    assert decode(b'[{"sentence": "a"}, {"inputs": "b"}]', JSON, limits) == ["a", "b"]
    with pytest.raises(MalformedBodyError, match='an object with "sentence" or "inputs"'):
        decode(b'[{"text": "a"}]', JSON, limits)
