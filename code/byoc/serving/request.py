"""Request bodies to texts; the cost of reading is linear in the size of a body, also of a malicious one.

A media type may carry parameters and be written in any case. Texts are UTF-8.
"""

import codecs
import json
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from byoc.errors import MalformedBodyError, UnsupportedMediaTypeError, UnusableTextError

JSON = "application/json"
JSON_LINES = "application/jsonlines"
CSV = "text/csv"
TEXT = "text/plain"
MEDIA_TYPES = (JSON, JSON_LINES, CSV, TEXT)
ALIASES = {
    **dict.fromkeys(("text/json", "application/x-json"), JSON),
    **{
        f"application/{name}": JSON_LINES
        for name in ("jsonl", "x-jsonl", "x-jsonlines", "json-lines", "ndjson", "x-ndjson")
    },
    **dict.fromkeys(("application/csv", "application/x-csv", "text/x-csv"), CSV),
}


@dataclass(frozen=True)
class Limits:
    """Limits on a request, and the names that the model package knows.

    Attributes:
        texts: maximum number of texts, except in batch transform.
        characters: maximum length of a text.
        text_fields: keys of an object and columns of CSV that may hold a text, in lower case; spaces, "_" and
            "-" of the names in a request do not count.
        labels: values of a label column; a CSV row that begins with one has several columns.
    """

    texts: int = 10_000
    characters: int = 10**9
    text_fields: tuple[str, ...] = ("text", "inputs")
    labels: tuple[str, ...] = ()


DEFAULT_LIMITS = Limits()

# A text, or the reason why there is none.
Record = str | MalformedBodyError

_UTF8_NAMES = {"utf-8", "utf8", "us-ascii", "ascii"}
_PARAMETER = re.compile(r';\s*([^\s;="]+)\s*=\s*("(?:[^"\\]|\\.)*"|[^;"]*)')
_LINE = re.compile(rb"([^\n]*)(?:\n|\Z)")
# Quoted, over any number of lines, or on one line without quotes: were they allowed there, the search for the
# end of broken rows would take quadratic time.
_FIELD = rb'(?:"(?:[^"]++|"")*+"|[^",\n]*+)'
_ROW = re.compile(rb"(?P<fields>%b(?:,%b)*+)\r?(?:\n|\Z)|(?P<line>[^\n]*)(?:\n|\Z)" % (_FIELD, _FIELD))
_FIELDS = re.compile(rb"(?:\A|,)(%b)" % _FIELD)
_MAX_NAME = 100
_MAX_COLUMNS = 1_000  # a byte becomes an object of 40
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?")
_COLUMN_NAME = re.compile(r"[\w.-]+")

# Numbers are not needed, and parsing digits takes time quadratic in their count.
_JSON = json.JSONDecoder(parse_int=lambda _digits: None, parse_float=lambda _digits: None)
# The parts of JSON that cost memory of their own: two bytes can become an object of 80.
_JSON_PART = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)|[\[{,]', re.DOTALL)
_JSON_PARTS_PER_TEXT = 40


def decode(body: bytes, content_type: str, limits: Limits = DEFAULT_LIMITS) -> list[str]:
    """The texts of a request, in order.

    Raises:
        UnsupportedMediaTypeError: the content type is not supported.
        MalformedBodyError: the body does not match it or exceeds the limits; names the line.
    """
    texts: list[str] = []
    for record in _read(body, content_type, limits):
        if isinstance(record, MalformedBodyError):
            raise record
        if len(texts) == limits.texts:
            raise MalformedBodyError(f"more than {limits.texts} texts; send them in several requests")
        texts.append(record)
    return texts


def decode_records(body: bytes, content_type: str, limits: Limits = DEFAULT_LIMITS) -> list[Record]:
    """The records of a request of batch transform, any number of them: a bad record becomes an error.

    Raises:
        MalformedBodyError: the content type is not supported; the records cannot be separated; or none of
            several records has the right form, so that the answer would consist of errors.
    """
    try:
        records = list(_read(body, content_type, replace(limits, texts=sys.maxsize), batch=True))
    except UnsupportedMediaTypeError as error:
        raise MalformedBodyError(str(error)) from None
    if len(records) > 1 and all(map(is_misshapen, records)):
        raise MalformedBodyError(f"{records[0]}; none of the {len(records)} records can be used")
    return records


def is_misshapen(record: Record) -> bool:
    """Whether a record lacks a text because of its form: its content does not matter."""
    return isinstance(record, MalformedBodyError) and not isinstance(record, UnusableTextError)


def wants_explanations(body: bytes, content_type: str, limits: Limits = DEFAULT_LIMITS) -> bool:
    """Whether a body is JSON with ``"parameters": {"explain": true}``."""
    if b"explain" not in body or parse_media_type(content_type)[0] != JSON:
        return False
    content = _unwrap(_parse_json(body.removeprefix(codecs.BOM_UTF8), "body", limits), limits)
    parameters = content.get("parameters") if isinstance(content, dict) else None
    return isinstance(parameters, dict) and parameters.get("explain") is True


def parse_media_type(header: str) -> tuple[str, dict[str, str]]:
    """A media type in lower case, by its main name, and its parameters."""
    name, separator, parameters = header.partition(";")
    media_type = name.strip().lower()
    return ALIASES.get(media_type, media_type), {
        name.lower(): value.strip().strip('"') for name, value in _PARAMETER.findall(separator + parameters)
    }


def _read(body: bytes, content_type: str, limits: Limits, *, batch: bool = False) -> Iterator[Record]:
    media_type, parameters = parse_media_type(content_type)
    if media_type not in MEDIA_TYPES:
        raise UnsupportedMediaTypeError(
            f"content type {media_type[:100] or 'missing'}; expected one of {', '.join(MEDIA_TYPES)}"
        )
    charset = parameters.get("charset", "utf-8").lower()
    if charset not in _UTF8_NAMES:
        raise UnsupportedMediaTypeError(f"charset {charset[:100]}; send UTF-8")
    body = body.removeprefix(codecs.BOM_UTF8)
    if media_type == JSON:
        return _read_json(body, limits)
    if media_type == JSON_LINES:
        return _read_json_lines(body, limits)
    if media_type == CSV:
        header = parameters.get("header", "").lower()
        # Batch transform sends it with each piece of a file, also with those without a header.
        return _read_csv(body, limits, "" if batch and header == "present" else header)
    return _read_lines(body, limits) if batch else iter([_unquoted(body, "body", limits)])


def _read_json(body: bytes, limits: Limits) -> Iterator[Record]:
    """A text, a list of texts, or an object with either as its "inputs" or "instances"."""
    content = _unwrap(_parse_json(body, "body", limits), limits)
    if isinstance(content, MalformedBodyError) and b"\n" in body.strip():
        raise content
    name = ""
    if isinstance(content, dict):
        name = next((key for key in ("inputs", "instances") if key in content), "")
        known = {*limits.text_fields, "instances"}
        if name and {key for key in content if _normalize(key) in known} - {name}:
            raise MalformedBodyError("body: several text fields; expected one")
        content = content[name] if name else content
    if isinstance(content, list):
        for i, item in enumerate(content):
            yield _text(item, f"{name or 'body'}[{i}]", limits)
    else:
        yield _text(content, name or "body", limits)


def _read_json_lines(body: bytes, limits: Limits) -> Iterator[Record]:
    for number, line in _matches(_LINE, body.rstrip(b" \t\r\n")):
        where = f"line {number}"
        yield _text(_unwrap(_parse_json(line[1], where, limits), limits), where, limits)


def _unwrap(content: Any, limits: Limits) -> Any:
    """The content of a JSON string that holds an object or a list in JSON, as by ``json.dumps`` twice."""
    if not isinstance(content, str) or not content.lstrip().startswith(("{", "[")):
        return content
    inner = _parse_json(content.encode("utf-8", "surrogatepass"), "body", limits)
    items = inner if isinstance(inner, list) else [inner]
    names = {*limits.text_fields, "inputs", "instances"}
    is_request = all(
        isinstance(item, str) or (isinstance(item, dict) and not names.isdisjoint(item)) for item in items
    )
    return inner if items and is_request else content


def _read_lines(body: bytes, limits: Limits) -> Iterator[Record]:
    for number, line in _matches(_LINE, body.rstrip(b"\r\n")):
        yield _unquoted(line[1].removesuffix(b"\r"), f"line {number}", limits)


def _read_csv(body: bytes, limits: Limits, header: str) -> Iterator[Record]:
    """A text per row: that of the text column, or of the only one.

    The csv module cannot go on after a broken row, which here costs its first line only.
    """
    body = body.rstrip(b"\r\n")
    is_line = b"\n" not in body and not body.startswith(b'"')
    width, column, first = 1, 0, 1
    row = next(_ROW.finditer(body))  # the pattern matches any body
    values = [_unquote(field).decode("utf-8", "replace") for field in _fields(row)]
    if header != "absent" and row.end() < len(body) and _has_other_delimiter(values[0], limits):
        raise MalformedBodyError("row 1: the header has another delimiter; send columns separated by commas")
    if header == "present" or (header != "absent" and _is_header(values, limits, is_line=is_line)):
        width, column, first = len(values), _find_text_column(values, limits), 2
        if row.end() == len(body):
            yield UnusableTextError("row 1: a header without rows")
            return
    elif is_line and not _has_columns(values, _fields(row), limits):
        # The SageMaker SDK's CSVSerializer sends a string unquoted.
        yield _unquoted(body, "row 1", limits)
        return
    for number, row in _matches(_ROW, body):
        if number >= first:
            yield _csv_text(row, f"row {number}", width, column, limits)


def _fields(row: re.Match[bytes]) -> list[bytes]:
    """The fields of a row as they are written."""
    if row["fields"] is None:
        return row["line"].removesuffix(b"\r").split(b",", _MAX_COLUMNS)
    content: bytes = row["fields"].removesuffix(b"\r")
    if b"," not in content:
        return [content]
    return [field[1] for field in islice(_FIELDS.finditer(content), _MAX_COLUMNS + 1)]


def _unquote(field: bytes) -> bytes:
    return field[1:-1].replace(b'""', b'"') if field.startswith(b'"') else field


def _is_header(names: Sequence[str], limits: Limits, *, is_line: bool) -> bool:
    """Whether a first row names a text column; on a ``is_line`` alone, all fields must resemble names."""
    return any(_normalize(name) in limits.text_fields for name in names) and (
        not is_line or all(map(_COLUMN_NAME.fullmatch, names))
    )


def _has_other_delimiter(row: str, limits: Limits) -> bool:
    """Whether a first row is a header with semicolons, tabs or pipes."""
    names = [name.strip('"') for name in re.split(r"[;\t|]", row, maxsplit=_MAX_COLUMNS)]
    return len(names) > 1 and _is_header(names, limits, is_line=True)


def _normalize(name: str) -> str:
    # No name is that long, and most fields are texts.
    return re.sub(r"[ _-]", "", name).lower() if len(name) <= _MAX_NAME else ""


def _find_text_column(names: Sequence[str], limits: Limits) -> int:
    if len(names) == 1:
        return 0
    columns = [i for i, name in enumerate(names) if _normalize(name) in limits.text_fields]
    if len(columns) != 1:
        count = "several text columns" if columns else "no text column"
        expected = ", ".join(f'"{field}"' for field in limits.text_fields)
        raise MalformedBodyError(f"row 1: {count} in the header; expected one of {expected}")
    return columns[0]


def _has_columns(values: Sequence[str], fields: Sequence[bytes], limits: Limits) -> bool:
    """Whether an unquoted line is a row of several columns: prose may hold commas, too."""
    first = values[0].strip().lower()
    return len(values) > 1 and (
        first in limits.labels
        or _NUMBER.fullmatch(first) is not None
        or any(len(field) > 1 and field.startswith(b'"') and field.endswith(b'"') for field in fields[1:])
    )


def _csv_text(row: re.Match[bytes], where: str, width: int, column: int, limits: Limits) -> Record:
    fields = _fields(row)
    # A field that begins with a quote has a broken one, or a comma or line end of its text has split it.
    if row["fields"] is None and any(field.startswith(b'"') for field in fields):
        return MalformedBodyError(f"{where}: expected texts in double quotes, with inner quotes doubled")
    if fields == [b""]:
        return _unquoted(b"", where, limits)
    if len(fields) == width:
        field = fields[column]
        return _utf8(_unquote(field), where, limits) if field else _unquoted(field, where, limits)
    remedy = "put each text in double quotes, or send a header" if width == 1 else "as many as the header"
    return MalformedBodyError(f"{where}: {len(fields)} columns, expected {width}: {remedy}")


def _matches(pattern: re.Pattern[bytes], body: bytes) -> Iterator[tuple[int, re.Match[bytes]]]:
    """As ``finditer``, counted from 1, but without the empty match after the last line end."""
    for number, match in enumerate(pattern.finditer(body), start=1):
        yield number, match
        if match.end() == len(body):
            return


def _parse_json(body: bytes, where: str, limits: Limits) -> Any:
    """A JSON value, or the reason why there is none as a ``MalformedBodyError``."""
    most = _JSON_PARTS_PER_TEXT * limits.texts
    # Counting single bytes is quick, and enough for all but the largest bodies.
    if sum(map(body.count, (b'"', b"[", b"{", b","))) > most:
        parts = islice(_JSON_PART.finditer(body), most + 1)
        if sum(1 for _ in parts) > most:
            return MalformedBodyError(f"{where}: more JSON than {limits.texts} texts need; send less at once")
    try:
        return _JSON.decode(body.decode("utf-8"))
    except UnicodeDecodeError as error:
        return _not_utf8(where, error)
    except json.JSONDecodeError as error:
        line = f"line {error.lineno}" if where == "body" else where
        remedy = f"; send one value per line as {JSON_LINES}" if error.msg == "Extra data" else ""
        return MalformedBodyError(f"{line}, column {error.colno}: not JSON ({error.msg}){remedy}")
    except RecursionError:
        return MalformedBodyError(f"{where}: not JSON that can be read (nested too deeply)")


def _text(value: Any, where: str, limits: Limits) -> Record:
    """A text, alone or as an object's text field."""
    if isinstance(value, dict):
        values = [value[field] for field in limits.text_fields if field in value]
        if not values:
            values = [item for key, item in value.items() if _normalize(key) in limits.text_fields]
        if len(values) > 1:
            return MalformedBodyError(f"{where}: several text fields; expected one")
        value = values[0] if values else None
    if isinstance(value, list) and len(value) == 1:
        value = value[0]  # a row of one column: docs/clarify.md
    if isinstance(value, str):
        return _bounded(value, where, limits)
    if isinstance(value, MalformedBodyError):
        return value
    *fields, last = (f'"{field}"' for field in limits.text_fields)
    names = f"{', '.join(fields)} or {last}" if fields else last
    instances = ' ("instances" for a list)' if where == "body" else ""
    return MalformedBodyError(f"{where}: expected a string, or an object with {names}{instances}")


def _unquoted(body: bytes, where: str, limits: Limits) -> Record:
    return _utf8(body, where, limits) if body else UnusableTextError(f"{where}: empty, expected one text")


def _utf8(body: bytes, where: str, limits: Limits) -> Record:
    try:
        return _bounded(body.decode("utf-8"), where, limits)
    except UnicodeDecodeError as error:
        return _not_utf8(where, error)


def _not_utf8(where: str, error: UnicodeDecodeError) -> MalformedBodyError:
    return UnusableTextError(f"{where}: not UTF-8 at byte offset {error.start}")


def _bounded(text: str, where: str, limits: Limits) -> Record:
    if len(text) <= limits.characters:
        return text
    return UnusableTextError(f"{where}: {len(text)} characters, expected at most {limits.characters}")
