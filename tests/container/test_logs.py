"""The log: one JSON object a line on stdout, from each program."""

import io
import json
import threading
from collections.abc import Mapping
from typing import Any

import pytest

from serving.logs import Log


def lines(capfd: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    out, err = capfd.readouterr()
    assert err == ""
    return [json.loads(line) for line in out.splitlines()]


def relayed(
    capfd: pytest.CaptureFixture[str], printed: str, level: str = "info", least: str = "debug"
) -> list[tuple[str, str]]:
    """Level and message of each log line that a program's output becomes."""
    Log(least).relay(io.StringIO(printed), "nginx", level).join()
    logged = lines(capfd)
    assert all(line["source"] == "nginx" for line in logged)
    return [(line["level"], line["message"]) for line in logged]


def test_line_has_source_level_message_fields(capfd: pytest.CaptureFixture[str]) -> None:
    Log().write("info", "hello", port=1)
    (line,) = lines(capfd)
    assert (line["source"], line["level"], line["message"], line["port"]) == ("serve", "info", "hello", 1)


@pytest.mark.parametrize(
    ("least", "expected"),
    [
        ("debug", ["debug", "info", "warning", "error"]),
        ("info", ["info", "warning", "error"]),
        ("warning", ["warning", "error"]),
        ("error", ["error"]),
    ],
)
def test_lower_levels_are_dropped(capfd: pytest.CaptureFixture[str], least: str, expected: list[str]) -> None:
    log = Log(least)
    for level in ("debug", "info", "warning", "error"):
        log.write(level, "x")
    assert [line["level"] for line in lines(capfd)] == expected


def test_json_lines_are_copied_unchanged(capfd: pytest.CaptureFixture[str]) -> None:
    Log("error").relay(io.StringIO('{"a":1}\n{"b": "é"}\n'), "nginx", "info").join()
    assert capfd.readouterr().out == '{"a":1}\n{"b": "é"}\n'


@pytest.mark.parametrize("least", ["info", "error"])
def test_every_request_is_observed(least: str) -> None:
    log = Log(least)
    observed: list[Mapping[str, Any]] = []
    log.observe = observed.append
    printed = [f'{{"level":"info","source":"{s}","status":200}}\n' for s in ("request", "ping", "request")]
    log.relay(io.StringIO("".join(printed)), "nginx", "info").join()
    assert [request["source"] for request in observed] == ["request", "request"]


def test_broken_line_of_nginx_is_copied(capfd: pytest.CaptureFixture[str]) -> None:
    Log("error").relay(io.StringIO('{"status":000}\n'), "nginx", "info").join()
    assert capfd.readouterr().out == '{"status":000}\n'


@pytest.mark.parametrize("space", ["", " "])
def test_json_of_lower_level_is_dropped(capfd: pytest.CaptureFixture[str], space: str) -> None:
    printed = [f'{{"time":{space}"now",{space}"level":{space}"{level}"}}\n' for level in ("warning", "error")]
    Log("error").relay(io.StringIO("".join(printed)), "the model server", "info").join()
    assert [line["level"] for line in lines(capfd)] == ["error"]


@pytest.mark.parametrize("printed", ["{'a': 1}", "{}", '{"a": 1}', "{broken"])
def test_braces_of_other_programs_are_wrapped(capfd: pytest.CaptureFixture[str], printed: str) -> None:
    Log("info").relay(io.StringIO(f"{printed}\n"), "the model server", "warning").join()
    assert [(line["level"], line["message"]) for line in lines(capfd)] == [("warning", printed)]


def test_plain_lines_are_wrapped(capfd: pytest.CaptureFixture[str]) -> None:
    assert relayed(capfd, "one\ntwo\n", "warning") == [("warning", "one"), ("warning", "two")]


def test_last_line_needs_no_newline(capfd: pytest.CaptureFixture[str]) -> None:
    assert relayed(capfd, "one") == [("info", "one")]


def test_empty_lines_are_dropped(capfd: pytest.CaptureFixture[str]) -> None:
    assert relayed(capfd, "\n  \none  \n") == [("info", "one")]


def test_wrapped_lines_have_a_level(capfd: pytest.CaptureFixture[str]) -> None:
    assert relayed(capfd, "one\n", "info", least="warning") == []


@pytest.mark.parametrize(
    ("written", "level"),
    [
        ("emerg", "error"),
        ("alert", "error"),
        ("crit", "error"),
        ("error", "error"),
        ("warn", "warning"),
        ("notice", "info"),
        ("info", "info"),
        ("debug", "debug"),
    ],
)
def test_nginx_levels_are_mapped(capfd: pytest.CaptureFixture[str], written: str, level: str) -> None:
    line = f"2026/11/24 10:00:00 [{written}] 7#8: *1 connect() failed, client: x"
    assert relayed(capfd, line) == [(level, "*1 connect() failed, client: x")]


def test_harmless_log4j_line_is_dropped(capfd: pytest.CaptureFixture[str]) -> None:
    line = "WARNING: sun.reflect.Reflection.getCallerClass is not supported. This will impact performance."
    assert relayed(capfd, line) == []


def test_kept_groups_of_nginx_are_no_error(capfd: pytest.CaptureFixture[str]) -> None:
    line = "2026/11/24 10:00:00 [emerg] 7#8: initgroups(root, 0) failed (1: Operation not permitted)"
    assert relayed(capfd, line) == []


def test_lines_of_threads_do_not_mix(capfd: pytest.CaptureFixture[str]) -> None:
    log = Log()

    def write(letter: str) -> None:
        for _ in range(50):
            log.write("info", letter * 3_000)

    threads = [threading.Thread(target=write, args=(letter,)) for letter in "xy"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(line["message"] for line in lines(capfd)) == ["x" * 3_000] * 50 + ["y" * 3_000] * 50
