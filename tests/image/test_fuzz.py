"""The fuzzer finds the faults of a server, and repeats its requests for the same seed."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from tests.image import fuzz
from tests.image.campaign import log_faults
from tests.image.raw_http import End, Exchange, HangError, parse, request, send

ANSWER = b"HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n%s\r\n%s"

Serve = Callable[[bytes], bytes | None]


@contextlib.contextmanager
def server(serve: Serve) -> Iterator[tuple[str, int]]:
    """A server that answers the first data on a connection and closes it; None: it does neither."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def run() -> None:
            with contextlib.ExitStack() as connections, contextlib.suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    connections.enter_context(connection)
                    # The client may be gone already.
                    with contextlib.suppress(OSError):
                        if (answer := serve(connection.recv(65536))) is not None:
                            connection.sendall(answer)
                            connection.close()

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield listener.getsockname()
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def answer(
    status: bytes, body: bytes = b"", content_type: bytes = b"application/json", more: bytes = b""
) -> bytes:
    return ANSWER % (status, content_type, len(body), more, body)


REASON = b'{"error": "no"}'


@pytest.mark.parametrize(
    ("answered", "fault"),
    [
        (answer(b"500 Internal Server Error", REASON), "status 500"),
        (answer(b"504 Gateway Timeout", REASON), "status 504"),
        (answer(b"400 Bad Request", b"<html>", b"text/html"), "status 400 without a reason in JSON"),
        (answer(b"400 Bad Request", REASON, b"text/html"), "status 400 without a reason in JSON"),
        (answer(b"400 Bad Request", b'{"error": "Traceback"}'), "b'Traceback' in an answer"),
        (answer(b"405 Method Not Allowed", REASON), "405 without the header Allow"),
        (answer(b"503 Service Unavailable", REASON), "503 without the header Retry-After"),
    ],
)
def test_bad_answer_is_a_fault(answered: bytes, fault: str) -> None:
    assert fault in [found.what for found in fuzz.answer_faults(parse(answered)[0])]


@pytest.mark.parametrize(
    "answered",
    [
        answer(b"200 OK", b"[]"),
        answer(b"400 Bad Request", REASON),
        answer(b"404 Not Found", b'{"code": 404, "type": "X", "message": "no"}'),
        answer(b"405 Method Not Allowed", REASON, more=b"Allow: GET\r\n"),
        answer(b"503 Service Unavailable", REASON, more=b"Retry-After: 1\r\n"),
    ],
)
def test_good_answer_is_no_fault(answered: bytes) -> None:
    assert list(fuzz.answer_faults(parse(answered)[0])) == []


@pytest.mark.parametrize(
    ("statuses", "most", "fault"),
    [
        ([{200}], 1, "x: too many answers"),
        ([{200}] * 3, 3, "x: missing answers"),
        ([{200}, {404}], 2, "x: unexpected status"),
    ],
)
def test_unexpected_answers_are_a_fault(statuses: list[set[int]], most: int, fault: str) -> None:
    answers = parse(answer(b"200 OK", b"[]") * 2)
    exchange = Exchange("x", [b""], End.WAIT, statuses, most)
    assert [found.what for found in fuzz.exchange_faults(exchange, answers)] == [fault]


def test_missing_prediction_is_a_fault() -> None:
    exchange = Exchange("x", [b""], End.WAIT, [{200}], records=2)
    assert len(list(fuzz.exchange_faults(exchange, parse(answer(b"200 OK", b"[1]"))))) == 1
    assert len(list(fuzz.exchange_faults(exchange, parse(answer(b"200 OK", b"[1, 2]"))))) == 0
    assert len(list(fuzz.exchange_faults(exchange, parse(answer(b"200 OK", b"a,1\nb,1", b"text/csv"))))) == 0


@pytest.mark.parametrize("end", [End.WAIT, End.HALF_CLOSE])
def test_hang_is_an_error(end: End) -> None:
    with server(lambda _: None) as address, pytest.raises(HangError):
        send(address, Exchange("x", [request()], end, [{200}]), 0.2)


def test_incomplete_answers_are_not_parsed() -> None:
    first, second = answer(b"200 OK", b"[1]"), answer(b"404 Not Found", REASON)
    complete = [len(parse((first + second)[:end])) for end in range(len(first + second))]
    assert complete == [0] * len(first) + [1] * len(second)
    assert [one.status for one in parse(b"HTTP/1.1 100 Continue\r\n\r\n" + first + second)] == [200, 404]


def test_run_reports_faults_with_examples() -> None:
    """In several processes, with every kind of request."""
    with server(lambda _: answer(b"500 Internal Server Error", b"<p>Traceback", b"text/html")) as address:
        report = fuzz.run(address, 300, seed=1, processes=2)
    assert report.sent.total() == 300
    assert len(report.sent) == 10
    assert {"status 500", "b'Traceback' in an answer", "UndefinedContentType"} <= report.faults.keys()
    count, example = report.faults["status 500"]
    assert count > 100
    assert "seed" in example


def test_same_seed_sends_same_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[str] = []
    monkeypatch.setattr(fuzz.Fuzzer, "_send", lambda _self, what, _seed: sent.append(repr(what)))
    for seed in (5, 5, 6):
        fuzz.Fuzzer(("127.0.0.1", 1), fuzz.Report()).run(50, seed)
    assert sent[:50] == sent[50:100] != sent[100:]


@pytest.mark.parametrize(
    "line",
    [
        '{"level": "error", "source": "worker", "message": "prediction failed"}',
        '{"level": "info", "message": "Traceback (most recent call last)"}',
        "Exception in thread main",
    ],
)
def test_bad_log_line_is_a_fault(line: str) -> None:
    assert log_faults('{"level": "info"}\n' + line) == [line]


def test_logged_503_is_no_fault() -> None:
    assert not log_faults('{"level":"error","source":"request","method":"POST","status":503}')
