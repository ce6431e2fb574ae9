"""HTTP over a plain socket, which sends malformed requests unchanged."""

import contextlib
import enum
import itertools
import socket
import struct
import time
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

# With this option, close() resets the connection at once.
_NO_LINGERING = struct.pack("ii", 1, 0)
HTTP_09 = 9

GOOD = b"what a film"
TEXT = ((b"Content-Type", b"text/plain"),)

Headers = Sequence[tuple[bytes, bytes]]


class End(enum.Enum):
    """The client's action after it has sent everything."""

    WAIT = "waits for its answers"
    HALF_CLOSE = "says that nothing more will come, and reads on"
    RESET = "is gone"


@dataclass(frozen=True)
class Exchange:
    """The data sent over one connection, and the expected answers.

    Attributes:
        kind: name of the exchange in reports.
        parts: the data, in the pieces in which it is sent.
        end: the client's action afterwards.
        statuses: allowed statuses of each required answer; without any, every answer is allowed.
        most: maximum number of answers.
        pause: seconds after each part.
        records: predictions and errors required in an answer with status 200.
    """

    kind: str
    parts: Sequence[bytes]
    end: End = End.HALF_CLOSE
    statuses: Sequence[Container[int]] = ()
    most: int = 1
    pause: float = 0.0
    records: int | None = None

    def __repr__(self) -> str:
        """Shortened text with which the exchange can be repeated."""
        sent = repr(b"".join(self.parts))
        short = sent if len(sent) < 1000 else f"{sent[:700]} ... {sent[-250:]}"
        return f"{self.kind}: {short} in {len(self.parts)} parts, then the client {self.end.value}"


class Answer(NamedTuple):
    """An answer; without a head, as in HTTP/0.9, its status is ``HTTP_09``."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class HangError(Exception):
    """The server neither answered nor closed the connection."""


def request(
    method: str = "POST", target: str = "/invocations", headers: Headers = TEXT, body: bytes = GOOD
) -> bytes:
    """A request with a correct length."""
    lines = [f"{method} {target} HTTP/1.1".encode("latin-1"), b"Host: localhost"]
    lines += [name + b": " + value for name, value in headers]
    if body:
        lines.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join([*lines, b"", body])


def chunked(headers: Headers, chunks: Sequence[bytes]) -> bytes:
    """A request for predictions with a chunked body."""
    head = request(headers=[*headers, (b"Transfer-Encoding", b"chunked")], body=b"")
    return head + b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in (*chunks, b""))


def cut(content: bytes, places: Sequence[int]) -> list[bytes]:
    """Content cut into parts at these positions."""
    bounds = [0, *sorted({place % (len(content) + 1) for place in places}), len(content)]
    return [content[a:b] for a, b in itertools.pairwise(bounds) if b > a]


def send(address: tuple[str, int], exchange: Exchange, seconds: float) -> list[Answer]:
    """Send an exchange, and read until the server closes the connection or announces to close it.

    Raises:
        HangError: this takes longer than ``seconds`` after the last byte was sent.
    """
    with socket.create_connection(address, seconds) as connection:
        # The server may answer and close before it has received everything.
        with contextlib.suppress(ConnectionError):
            for part in exchange.parts:
                connection.sendall(part)
                time.sleep(exchange.pause)
        if exchange.end is End.RESET:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGERING)
            return []
        return _receive(connection, exchange, time.monotonic() + seconds)


def _receive(connection: socket.socket, exchange: Exchange, end: float) -> list[Answer]:
    to_head = b"".join(exchange.parts)[:5].upper() == b"HEAD "
    received = bytearray()
    waiting = exchange.end is End.WAIT
    try:
        while True:
            if not waiting:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_WR)
            connection.settimeout(max(0.001, end - time.monotonic()))
            chunk = connection.recv(65536)
            received += chunk
            if not chunk:
                break
            answers = parse(bytes(received), to_head=to_head)
            waiting = waiting and len(answers) < len(exchange.statuses)
            if answers and answers[-1].headers.get("connection") == "close":
                # Otherwise nginx waits some seconds for the rest of the refused request.
                break
    except TimeoutError as error:
        raise HangError(f"still open, after the answer {bytes(received[:200])!r}") from error
    except ConnectionError:
        # Closing a connection with unread data resets it.
        pass
    return parse(bytes(received), to_head=to_head)


def parse(received: bytes, *, to_head: bool = False) -> list[Answer]:
    """The complete answers in the received data; ``to_head``: without bodies.

    Raises:
        ValueError: this is not HTTP.
    """
    answers: list[Answer] = []
    while received:
        if not received.startswith(b"HTTP/1."[: len(received)]):
            return [*answers, Answer(HTTP_09, {}, received)]
        head, end, rest = received.partition(b"\r\n\r\n")
        if not end:
            break
        status_line, *lines = head.decode("latin-1").split("\r\n")
        status = int(status_line.split(" ")[1])
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        if status < 200:
            received = rest
            continue
        length = 0 if to_head else int(headers.get("content-length", len(rest)))
        if len(rest) < length:
            break
        answers.append(Answer(status, headers, rest[:length]))
        received = rest[length:]
    return answers
