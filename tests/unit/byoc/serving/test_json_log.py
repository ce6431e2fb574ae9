"""Logs of one JSON object per line."""

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from byoc.serving import json_log


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """The output of the root logger, which has no other handler."""
    root = logging.getLogger()
    handlers, level, raises, written = root.handlers, root.level, logging.raiseExceptions, io.StringIO()
    root.handlers = [logging.StreamHandler(written)]
    yield written
    root.handlers, logging.raiseExceptions = handlers, raises
    root.setLevel(level)


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_line_has_four_fields() -> None:
    assert json.loads(json_log.line("info", "hello", "serve", 0)) == {
        "time": "1970-01-01T00:00:00.000Z",
        "level": "info",
        "source": "serve",
        "message": "hello",
    }


def test_time_is_in_utc_with_milliseconds() -> None:
    line = json_log.line("info", "", "", 1_700_000_000.9996)
    assert json.loads(line)["time"] == "2023-11-14T22:13:20.999Z"


def test_line_may_have_more_fields() -> None:
    assert json.loads(json_log.line("info", "", "", 0, port=8080))["port"] == 8080


@pytest.mark.parametrize("message", ["two\nlines", 'a "quote" \\', "\x00\x1f\x7f\u2028", "\ud800", "é😀"])
def test_message_is_one_ascii_line(message: str) -> None:
    line = json_log.line("info", message, "", 0)
    assert line.isascii()
    assert line.isprintable()
    assert json.loads(line)["message"] == message


def test_log_record_becomes_a_line(stream: io.StringIO) -> None:
    json_log.use("info")
    logging.getLogger("worker").info("loaded %s", "it")
    (line,) = lines(stream)
    assert (line["source"], line["level"], line["message"]) == ("worker", "info", "loaded it")


@pytest.mark.parametrize(
    ("level", "name"),
    [
        (logging.DEBUG, "debug"),
        (logging.INFO, "info"),
        (logging.WARNING, "warning"),
        (logging.ERROR, "error"),
        (logging.CRITICAL, "error"),
    ],
)
def test_level_names_are_lower_case(stream: io.StringIO, level: int, name: str) -> None:
    json_log.use("debug")
    logging.log(level, "x")
    assert lines(stream)[0]["level"] == name


@pytest.mark.parametrize("level", json_log.LEVELS)
def test_lower_levels_are_skipped(stream: io.StringIO, level: str) -> None:
    json_log.use(level)
    for name in json_log.LEVELS:
        logging.getLogger().log(logging.getLevelName(name.upper()), "x")
    assert [line["level"] for line in lines(stream)] == list(json_log.LEVELS[json_log.LEVELS.index(level) :])


def test_level_may_be_upper_case(stream: io.StringIO) -> None:
    json_log.use("WARNING")
    logging.info("x")
    assert stream.getvalue() == ""


def test_traceback_is_part_of_the_message(stream: io.StringIO) -> None:
    json_log.use("info")
    try:
        raise ValueError("why")
    except ValueError:
        logging.exception("it failed")
    (line,) = lines(stream)
    assert line["message"].startswith("it failed\nTraceback")
    assert line["message"].endswith("ValueError: why")


def test_filter_skips_records(stream: io.StringIO) -> None:
    json_log.use("info", lambda record: record.name == "root")
    logging.info("skipped")
    logging.getLogger("worker").info("kept")
    assert [line["message"] for line in lines(stream)] == ["kept"]


def test_closed_stream_prints_no_traceback(stream: io.StringIO, capsys: pytest.CaptureFixture[str]) -> None:
    json_log.use("info")
    stream.close()
    logging.info("x")
    assert capsys.readouterr() == ("", "")
