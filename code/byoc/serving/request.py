"""Request bodies of each content type to their records, each a text or what is wrong with it.

Whatever a body holds, reading it costs time and memory in proportion to its size.
"""

import json
import re
from collections.abc import Iterator
from itertools import islice
from typing import Any

from byoc.errors import MalformedBodyError
from byoc.serving.limits import Limits

Record = str | MalformedBodyError

_LINE = re.compile(rb"([^\n]*)(?:\n|\Z)")
# Of a table with one column: quoted, over as many lines as it likes, or else a line as it is.
_ROW = re.compile(rb'"(?P<quoted>(?:[^"]++|"")*+)"\r?(?:\n|\Z)|(?P<line>[^\n]*)(?:\n|\Z)')

# Numbers are not needed, and turning digits into one takes time quadratic in how many they are.
_JSON = json.JSONDecoder(parse_int=lambda _digits: None, parse_float=lambda _digits: None)
# The parts of JSON that cost memory of their own: two bytes can become an object of 80.
_JSON_PART = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)|[\[{,]', re.DOTALL)
_JSON_PARTS_A_TEXT = 40


def read_json(body: bytes, limits: Limits) -> Iterator[Record]:
    """A text, a list of texts, or an object that has either as its "inputs" or "instances".

    Raises:
        MalformedBodyError: of several lines that together are not JSON, nobody can tell how many records
            they are.
    """
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


def read_json_lines(body: bytes, limits: Limits) -> Iterator[Record]:
    """A text a line."""
    too_many = _too_many(limits)
    for number, line in enumerate(_matches(_LINE, body), start=1):
        where = f"line {number}"
        yield (
            too_many if number > limits.texts else _text(_parse_json(line[1], where, limits), where, limits)
        )


def read_csv(body: bytes, limits: Limits) -> Iterator[Record]:
    """A text a row, which may be several lines if it is quoted; a single line may go without quotes.

    The csv module cannot go on behind a row that is broken. Here that costs its first line only.
    """
    line = body.removesuffix(b"\n").removesuffix(b"\r")
    # The SageMaker SDK's CSVSerializer sends a string as it is, unquoted.
    if line and not line.startswith(b'"') and b"\n" not in line:
        yield _utf8(line, "row 1", limits)
        return
    too_many = _too_many(limits)
    for number, row in enumerate(_matches(_ROW, body), start=1):
        yield too_many if number > limits.texts else _csv_text(row, f"row {number}", limits)


def read_text(body: bytes, limits: Limits) -> Iterator[Record]:
    """The whole body is one text."""
    yield _utf8(body, "body", limits) if body else MalformedBodyError("body: empty, expected one review")


def _csv_text(row: re.Match[bytes], where: str, limits: Limits) -> Record:
    if row["quoted"] is not None:
        return _utf8(row["quoted"].replace(b'""', b'"'), where, limits)
    line = row["line"].removesuffix(b"\r")
    if not line:
        return MalformedBodyError(f"{where}: empty, expected one review")
    if line.startswith(b'"'):
        return MalformedBodyError(f"{where}: expected one review in double quotes, with those in it doubled")
    if b"," in line:
        columns = line.count(b",") + 1
        return MalformedBodyError(f"{where}: {columns} columns, expected 1; put each review in double quotes")
    return _utf8(line, where, limits)


def _matches(pattern: re.Pattern[bytes], body: bytes) -> Iterator[re.Match[bytes]]:
    """As ``finditer``, but without the empty match behind the last line end."""
    for match in pattern.finditer(body):
        yield match
        if match.end() == len(body):
            return


def _parse_json(body: bytes, where: str, limits: Limits) -> Any:
    """A JSON value, or what is wrong with it as a ``MalformedBodyError``."""
    most = _JSON_PARTS_A_TEXT * limits.texts
    # Counting single bytes is quick, and enough for all but the largest of bodies.
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
    """A text, alone or as an object's "text" or "inputs"."""
    if isinstance(value, dict):
        value = value.get("text", value.get("inputs"))
    if isinstance(value, str):
        return _bounded(value, where, limits)
    if isinstance(value, MalformedBodyError):
        return value
    return MalformedBodyError(f'{where}: expected a string, or an object with "text" or "inputs"')


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
