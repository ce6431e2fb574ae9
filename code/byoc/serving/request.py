"""Request bodies to texts; the cost of reading is linear in the size of a body, also of a malicious one.

A media type may carry parameters and be written in any case. Texts are UTF-8.
"""

import codecs
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from byoc.errors import MalformedBodyError, UnsupportedMediaTypeError

JSON = "application/json"
JSON_LINES = "application/jsonlines"
CSV = "text/csv"
TEXT = "text/plain"
MEDIA_TYPES = (JSON, JSON_LINES, CSV, TEXT)


@dataclass(frozen=True)
class Limits:
    """Maximum number of texts and of characters per text; keys that may hold a text, in order of priority."""

    texts: int = 10_000
    characters: int = 20_000
    text_fields: tuple[str, ...] = ("text", "inputs")


DEFAULT_LIMITS = Limits()

# A text, or the reason why there is none.
Record = str | MalformedBodyError

_UTF8_NAMES = {"utf-8", "utf8", "us-ascii", "ascii"}
_PARAMETER = re.compile(r';\s*([^\s;="]+)\s*=\s*("(?:[^"\\]|\\.)*"|[^;"]*)')
_LINE = re.compile(rb"([^\n]*)(?:\n|\Z)")
# A row of a table with one column: quoted, over any number of lines, or one unquoted line.
_ROW = re.compile(rb'"(?P<quoted>(?:[^"]++|"")*+)"\r?(?:\n|\Z)|(?P<line>[^\n]*)(?:\n|\Z)')

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
    texts = []
    for record in _read(body, content_type, limits):
        if isinstance(record, MalformedBodyError):
            raise record
        texts.append(record)
    return texts


def decode_records(body: bytes, content_type: str, limits: Limits = DEFAULT_LIMITS) -> list[Record]:
    """One text or error per record: batch transform needs an answer for every line.

    A record is a line of JSON Lines, a row of CSV, an item of a JSON list, or the whole body. Without its
    closing quote, the first line of a CSV row is a bad record, and the next line starts a new record.

    Raises:
        UnsupportedMediaTypeError: the content type is not supported.
        MalformedBodyError: a body of several lines is not JSON, so that its records cannot be counted.
    """
    return list(_read(body, content_type, limits))


def wants_explanations(body: bytes, content_type: str) -> bool:
    """Whether a decodable body is JSON with ``"parameters": {"explain": true}``."""
    if parse_media_type(content_type)[0] != JSON or b'"explain"' not in body:
        return False
    content = _JSON.decode(body.removeprefix(codecs.BOM_UTF8).decode("utf-8"))
    parameters = content.get("parameters") if isinstance(content, dict) else None
    return isinstance(parameters, dict) and parameters.get("explain") is True


def parse_media_type(header: str) -> tuple[str, dict[str, str]]:
    """A media type in lower case, and its parameters."""
    media_type, separator, parameters = header.partition(";")
    return media_type.strip().lower(), {
        name.lower(): value.strip().strip('"') for name, value in _PARAMETER.findall(separator + parameters)
    }


def _read(body: bytes, content_type: str, limits: Limits) -> Iterator[Record]:
    media_type, parameters = parse_media_type(content_type)
    reader = _READERS.get(media_type)
    if reader is None:
        raise UnsupportedMediaTypeError(
            f"content type {media_type[:100] or 'missing'}; expected one of {', '.join(MEDIA_TYPES)}"
        )
    charset = parameters.get("charset", "utf-8").lower()
    if charset not in _UTF8_NAMES:
        raise UnsupportedMediaTypeError(f"charset {charset[:100]}; send UTF-8")
    return reader(body.removeprefix(codecs.BOM_UTF8), limits)


def _read_json(body: bytes, limits: Limits) -> Iterator[Record]:
    """A text, a list of texts, or an object with either as its "inputs" or "instances"."""
    content = _parse_json(body, "body", limits)
    if isinstance(content, MalformedBodyError) and b"\n" in body.strip():
        raise content
    name = "body"
    if isinstance(content, dict):
        name = next((key for key in ("inputs", "instances") if key in content), "")
        if not name:
            yield MalformedBodyError('expected an object with "inputs" or "instances", a string or a list')
            return
        content = content[name]
    if not isinstance(content, list):
        yield _text(content, name, limits)
        return
    too_many = _too_many(limits)
    for i, item in enumerate(content):
        yield too_many if i >= limits.texts else _text(item, f"{name}[{i}]", limits)


def _read_json_lines(body: bytes, limits: Limits) -> Iterator[Record]:
    too_many = _too_many(limits)
    for number, line in enumerate(_matches(_LINE, body), start=1):
        where = f"line {number}"
        yield (
            too_many if number > limits.texts else _text(_parse_json(line[1], where, limits), where, limits)
        )


def _read_csv(body: bytes, limits: Limits) -> Iterator[Record]:
    """A text per row; a quoted one may span lines, and a single line may go without quotes.

    The csv module cannot go on after a broken row, which here costs its first line only.
    """
    line = body.removesuffix(b"\n").removesuffix(b"\r")
    # The SageMaker SDK's CSVSerializer sends a string unquoted.
    if line and not line.startswith(b'"') and b"\n" not in line:
        yield _utf8(line, "row 1", limits)
        return
    too_many = _too_many(limits)
    for number, row in enumerate(_matches(_ROW, body), start=1):
        yield too_many if number > limits.texts else _csv_text(row, f"row {number}", limits)


def _read_text(body: bytes, limits: Limits) -> Iterator[Record]:
    yield _utf8(body, "body", limits) if body else MalformedBodyError("body: empty, expected one text")


def _csv_text(row: re.Match[bytes], where: str, limits: Limits) -> Record:
    if row["quoted"] is not None:
        return _utf8(row["quoted"].replace(b'""', b'"'), where, limits)
    line = row["line"].removesuffix(b"\r")
    if not line:
        return MalformedBodyError(f"{where}: empty, expected one text")
    if line.startswith(b'"'):
        return MalformedBodyError(f"{where}: expected one text in double quotes, with inner quotes doubled")
    if b"," in line:
        columns = line.count(b",") + 1
        return MalformedBodyError(f"{where}: {columns} columns, expected 1; put each text in double quotes")
    return _utf8(line, where, limits)


def _matches(pattern: re.Pattern[bytes], body: bytes) -> Iterator[re.Match[bytes]]:
    """As ``finditer``, but without the empty match after the last line end."""
    for match in pattern.finditer(body):
        yield match
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
        return MalformedBodyError(f"{line}, column {error.colno}: not JSON ({error.msg})")
    except RecursionError:
        return MalformedBodyError(f"{where}: not JSON that can be read (nested too deeply)")


def _text(value: Any, where: str, limits: Limits) -> Record:
    """A text, alone or as an object's text field."""
    if isinstance(value, dict):
        value = next((value[field] for field in limits.text_fields if field in value), None)
    if isinstance(value, str):
        return _bounded(value, where, limits)
    if isinstance(value, MalformedBodyError):
        return value
    fields = " or ".join(f'"{field}"' for field in limits.text_fields)
    return MalformedBodyError(f"{where}: expected a string, or an object with {fields}")


def _utf8(body: bytes, where: str, limits: Limits) -> Record:
    try:
        return _bounded(body.decode("utf-8"), where, limits)
    except UnicodeDecodeError as error:
        return _not_utf8(where, error)


def _not_utf8(where: str, error: UnicodeDecodeError) -> MalformedBodyError:
    return MalformedBodyError(f"{where}: not UTF-8 at byte offset {error.start}")


def _bounded(text: str, where: str, limits: Limits) -> Record:
    if len(text) <= limits.characters:
        return text
    return MalformedBodyError(f"{where}: {len(text)} characters, expected at most {limits.characters}")


def _too_many(limits: Limits) -> MalformedBodyError:
    return MalformedBodyError(f"more than {limits.texts} texts; send them in several requests")


_READERS: dict[str, Callable[[bytes, Limits], Iterator[Record]]] = {
    JSON: _read_json,
    JSON_LINES: _read_json_lines,
    CSV: _read_csv,
    TEXT: _read_text,
}
