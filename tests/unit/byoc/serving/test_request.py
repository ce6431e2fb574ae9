"""Request bodies to texts: formats, limits, and the cost of reading."""

import contextlib
import json
import tracemalloc
from collections.abc import Callable

import pytest

from byoc.errors import MalformedBodyError, RequestError, UnsupportedMediaTypeError
from byoc.serving.request import (
    ALIASES,
    CSV,
    JSON,
    JSON_LINES,
    TEXT,
    Limits,
    decode,
    decode_records,
    parse_media_type,
)

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
        ('{"text": "a", "id": 7}', ["a"]),
        ('{"Te-Xt": "a"}', ["a"]),
        ('{"inputs": {"text": "a"}}', ["a"]),
        (json.dumps('{"inputs": ["a", "b"]}'), ["a", "b"]),
        (json.dumps('{"text": "a"}'), ["a"]),
        (json.dumps('["a", {"text": "b"}]'), ["a", "b"]),
        (json.dumps('{"rating": 7}'), ['{"rating": 7}']),
        (json.dumps("[spoiler] bad"), ["[spoiler] bad"]),
        (json.dumps("[]"), ["[]"]),
        (json.dumps(json.dumps('{"text": "a"}')), ['"{\\"text\\": \\"a\\"}"']),
        (json.dumps(["{}", '{"text": "a"}']), ["{}", '{"text": "a"}']),
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
        ('"a"\n\n \r\n', ["a"]),
        ('"{\\"text\\": \\"a\\"}"', ["a"]),
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
        ('"a"\n\n\r\n', ["a"]),
        ("Good film, really", ["Good film, really"]),
        ('She said, "no", and left', ['She said, "no", and left']),
        ('Fine,"very" fine', ['Fine,"very" fine']),
        ("review, text, whatever it is", ["review, text, whatever it is"]),
        ('id,text\n1,"a, b"\n2,c\n', ["a, b", "c"]),
        ('"Text"\r\n"a"\r\n', ["a"]),
        ('"Review ID",TE_XT\n1,"a, b"', ["a, b"]),
        ('id, TEXT ,x\n1,he said "a",3', ['he said "a"']),
        ("inputs\none\ntwo", ["one", "two"]),
    ],
)
def test_csv_in_every_form(body: str, texts: list[str]) -> None:
    assert decode(body.encode(), CSV) == texts


@pytest.mark.parametrize(
    ("header", "texts"), [("present", ["a"]), ("PRESENT", ["a"]), ("absent", ["text", "a"]), ("", ["a"])]
)
def test_header_parameter_decides(header: str, texts: list[str]) -> None:
    assert decode(b"text\na\n", f"text/csv; header={header}") == texts


def test_header_of_one_column_has_any_name() -> None:
    assert decode(b"opinion\na\n", "text/csv; header=present") == ["a"]


@pytest.mark.parametrize("alias", ALIASES)
def test_aliases_of_content_types(alias: str) -> None:
    assert decode(b'"a"', alias) == ["a"]
    assert parse_media_type(f"{alias.upper()}; q=1")[0] in (JSON, JSON_LINES, CSV)


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
        (
            "{}",
            JSON,
            r'body: expected a string, or an object with "text" or "inputs" \("instances" for a list',
        ),
        (
            '{"text": "a", "inputs": ["b"], "text": 3}',
            JSON_LINES,
            "line 1: several text fields; expected one",
        ),
        ('{"text": 3}', JSON, "body: expected a string"),
        ("3", JSON, "body: expected a string"),
        ('{"inputs": ["a", 3]}', JSON, r"inputs\[1\]: expected a string"),
        ('{"instances": [{"txt": "a"}]}', JSON, r"instances\[0\]: expected a string, or an object"),
        ("[" * 100_000, JSON, "not JSON"),
        ('{"inputs": ' + "9" * 10_000 + "}", JSON, "inputs: expected a string"),
        ('{"inputs": ["a", 1e999999]}', JSON, r"inputs\[1\]: expected a string"),
        ('"a"\n\n"b"', JSON_LINES, "line 2, column 1: not JSON"),
        ('"a"\n{"text": "b"', JSON_LINES, "line 2, column 13: not JSON"),
        ('"a"\n7', JSON_LINES, "line 2: expected a string"),
        ("a,b\nc\n", CSV, "row 1: 2 columns, expected 1: put each text in double quotes, or send a header"),
        ('1,"A good film."\n', CSV, "row 1: 2 columns, expected 1"),
        ("2.5, fine", CSV, "row 1: 2 columns, expected 1"),
        ("Good, neg,fine", CSV, "row 1: 3 columns, expected 1"),
        ('fine,"very ""good"""', CSV, "row 1: 2 columns, expected 1"),
        ("id,stars\n1,5", "text/csv; header=present", "row 1: no text column in the header"),
        ("Text,inputs\na,b", CSV, "row 1: several text columns in the header"),
        ("id,text\n1,a\n2\n", CSV, "row 3: 1 columns, expected 2: as many as the header"),
        ("id,text\n1,", CSV, "row 2: empty"),
        ("id,text", CSV, "row 1: a header without rows"),
        ('"text"\n', CSV, "row 1: a header without rows"),
        ('"a"\n\n"b"', CSV, "row 2: empty"),
        ('"a" b\n', CSV, "row 1: expected texts in double quotes"),
        ('"a', CSV, "row 1: expected texts in double quotes"),
        ('label,text,id\n1,"a, b" \n', CSV, "row 2: expected texts in double quotes"),
        ('label,text\n1,"a\n', CSV, "row 2: expected texts in double quotes"),
        ("label;text\n1;a\n", CSV, "row 1: the header has another delimiter"),
        ('"label"\t"text"\n1\ta\n', CSV, "row 1: the header has another delimiter"),
        ('{"text": "a", "inputs": "b"}', JSON, "body: several text fields"),
        ('{"inputs": ["a"], "instances": ["b"]}', JSON, "body: several text fields"),
        ('{"text": "a", "instances": ["b"]}', JSON, "body: several text fields"),
        ('"a","b"', CSV, "row 1: 2 columns, expected 1"),
        ("", CSV, "empty"),
        ("", TEXT, "empty"),
    ],
)
def test_malformed_body_is_refused_with_position(body: str, content_type: str, message: str) -> None:
    with pytest.raises(MalformedBodyError, match=message):
        decode(body.encode(), content_type, Limits(labels=("good",)))


@pytest.mark.parametrize(
    ("body", "texts"),
    [(b'"A fine film."\n"Bad."', ["A fine film.", "Bad."]), (b"id,text\n1,a\n", ["a"]), (b'"a"', ["a"])],
)
def test_batch_header_is_found_by_its_names(body: bytes, texts: list[str]) -> None:
    """SageMaker repeats the parameter for each piece of a file."""
    assert decode_records(body, "text/csv; header=present") == texts


@pytest.mark.parametrize("text", ["text; a film", "text\ta film", 'I said,"wow" loudly'])
def test_single_line_is_no_other_table(text: str) -> None:
    assert decode(text.encode(), CSV) == [text]


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
        (b'"a\nb"\n"c\nd\n"e"', CSV, ["a\nb", "row 2: expected texts", "d", "e"]),
        (b'"a"\nb,c\n\n\xff\nd\n', CSV, ["a", "row 2: 2 columns", "row 3: empty", "row 4: not UTF-8", "d"]),
        (b"id,text\n1,a\nb\n3,c\n", CSV, ["a", "row 3: 1 columns", "c"]),
        (b"id,text\n", CSV, ["row 1: a header without rows"]),
        (b"\xff\n\xff", CSV, ["row 1: not UTF-8", "row 2: not UTF-8"]),
        (b'1,"a"', CSV, ["row 1: 2 columns"]),
        (b'{"stars": 3}', JSON_LINES, ["line 1: expected a string"]),
        (b"", CSV, ["row 1: empty"]),
        (b'["a", 7, "b"]', JSON, ["a", "body[1]: expected a string", "b"]),
        (b'{"inputs": "a"\n', JSON, ["line 2, column 1: not JSON"]),
        (b'{"inputs": "a", "parameters": {"explain": true}', JSON, ["line 1, column "]),
        (b"", TEXT, ["line 1: empty"]),
        (b"a\r\n\nb\n\n", TEXT, ["a", "line 2: empty", "b"]),
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


@pytest.mark.parametrize("read", [decode, decode_records])
def test_json_lines_as_json_are_explained(read: Callable[[bytes, str], object]) -> None:
    message = "line 2, column 1: not JSON .Extra data.; send one value per line as application/jsonlines"
    with pytest.raises(MalformedBodyError, match=message):
        read(b'{"inputs": "a"}\n{"inputs": "b"}\n', JSON)


@pytest.mark.parametrize("content_type", ["image/png", "text/plain; charset=latin-1"])
def test_records_refuse_other_content_type(content_type: str) -> None:
    with pytest.raises(MalformedBodyError, match=r"content type|charset"):
        decode_records(b"a", content_type)


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b'{"stars": 1}\n{"stars": 2}', JSON_LINES),
        (b'7\n{"text": "a"', JSON_LINES),
        (b'[{"stars": 1}, {"stars": 2}]', JSON),
        (b'1,"a"\n2,"b"\n', CSV),
        (b"id,stars\n1,2", "text/csv; header=present"),
    ],
)
def test_records_without_any_text_are_refused(body: bytes, content_type: str) -> None:
    with pytest.raises(MalformedBodyError):
        decode_records(body, content_type)


def test_refusal_counts_the_records() -> None:
    with pytest.raises(MalformedBodyError, match=r"^line 1: .*; none of the 2 records can be used$"):
        decode_records(b"7\n8", JSON_LINES)


@pytest.mark.parametrize(
    ("body", "content_type", "texts"),
    [
        ('["a"]\n{"text": ["b"]}\n{"inputs": ["c"]}', JSON_LINES, ["a", "b", "c"]),
        ('{"instances": [["a"], {"text": ["b"]}]}', JSON, ["a", "b"]),
        ('{"text": ["a"]}', JSON, ["a"]),
    ],
)
def test_list_of_one_text_is_the_text(body: str, content_type: str, texts: list[str]) -> None:
    assert decode(body.encode(), content_type) == texts


@pytest.mark.parametrize("line", ['["a", "b"]', '{"text": ["a", "b"]}', "[]", '[["a"]]', "[7]"])
def test_other_list_in_a_line_is_refused(line: str) -> None:
    with pytest.raises(MalformedBodyError, match="line 1: expected a string"):
        decode(line.encode(), JSON_LINES)


@pytest.mark.parametrize("content_type", LISTS)
def test_as_many_texts_as_allowed(content_type: str) -> None:
    assert decode(LISTS[content_type](["a", "b", "c"]).encode(), content_type, FEW) == ["a", "b", "c"]


@pytest.mark.parametrize("content_type", LISTS)
def test_more_texts_are_refused(content_type: str) -> None:
    with pytest.raises(MalformedBodyError, match="more than 3 texts"):
        decode(LISTS[content_type](["a"] * 4).encode(), content_type, FEW)


@pytest.mark.parametrize("content_type", LISTS)
def test_records_have_no_limit(content_type: str) -> None:
    assert decode_records(LISTS[content_type](["a"] * 19_000).encode(), content_type) == ["a"] * 19_000


@pytest.mark.parametrize("content_type", [*LISTS, TEXT])
def test_length_counts_in_characters(content_type: str) -> None:
    def body(text: str) -> bytes:
        return (text if content_type == TEXT else LISTS[content_type]([text])).encode()

    assert decode(body("\U0001f600" * 4), content_type, FEW) == ["\U0001f600" * 4]
    with pytest.raises(MalformedBodyError, match=": 5 characters, expected at most 4"):
        decode(body("abcde"), content_type, FEW)


def test_default_limits() -> None:
    assert Limits() == Limits(texts=10_000, characters=10**9)
    assert len(decode(json.dumps(["a"] * 10_000).encode(), JSON)) == 10_000
    assert len(decode(b"a" * 20_005, TEXT)[0]) == 20_005


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
        ('","', CSV),
    ],
)
@pytest.mark.parametrize("start", ["", '{"inputs":[', '"'])
def test_memory_is_proportional_to_body(piece: str, content_type: str, start: str) -> None:
    """In memory, and in time too: were it quadratic, this test would not come to its end."""
    body = (start + piece * (SIZE // len(piece))).encode()
    tracemalloc.start()
    with contextlib.suppress(MalformedBodyError):
        decode(body, content_type, Limits(texts=100))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 12 * SIZE


@pytest.mark.parametrize("piece", ['"a\n', 'a","c\n', ',"', 'x",y,"\n', '"\n",'])
@pytest.mark.parametrize("start", ["", '"', "text,a\n"])
def test_broken_rows_take_linear_time(piece: str, start: str) -> None:
    """In quadratic time, this test would not come to its end."""
    with contextlib.suppress(MalformedBodyError):
        decode_records((start + piece * SIZE).encode(), CSV)


def test_text_field_of_the_package_counts() -> None:
    limits = Limits(text_fields=("sentence", "inputs"))
    assert decode(b'[{"sentence": "a"}, {"inputs": "b"}]', JSON, limits) == ["a", "b"]
    with pytest.raises(MalformedBodyError, match='an object with "sentence" or "inputs"'):
        decode(b'[{"text": "a"}]', JSON, limits)
