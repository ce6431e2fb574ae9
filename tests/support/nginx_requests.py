"""Requests to nginx, and the answers of the fake servers behind it."""

import contextlib
import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.support.running_nginx import RunningNginx
from tests.support.unix_http import Response

MIB = 2**20
TEXT = {"Content-Type": "text/plain"}
FIGURES = {
    "X-batch-size": "3",
    "X-queue-seconds": "0.004",
    "X-texts": "2",
    "X-characters": "9",
    "X-longest": "0.25",
}
ANSWER = Response(200, b'[{"label": "positive"}]', {"Content-Type": "application/json", **FIGURES})
UNHEALTHY = Response(503, b'{"error": "no worker has loaded the model"}')


def invoke(server: RunningNginx, body: Any = b"fine", **headers: str) -> Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return server.ask("POST", "/invocations", body, TEXT | named)


def error(response: Response) -> str:
    """The reason in an answer of nginx itself."""
    assert response.headers["content-type"] == "application/json"
    content: dict[str, str] = json.loads(response.body)
    assert list(content) == ["error"]
    return content["error"]


@contextlib.contextmanager
def busy(server: RunningNginx, count: int, size: int = 4, *, chunked: bool = False) -> Iterator[None]:
    """Keep ``count`` requests in flight while the block runs; each is answered."""
    done = threading.Event()
    server.model = lambda _request: ANSWER if done.wait(30) else None
    with ThreadPoolExecutor(count) as pool:
        body = b"x" * size
        answers = [pool.submit(invoke, server, iter([body]) if chunked else body) for _ in range(count)]
        try:
            while len(server.asked) < count:
                time.sleep(0.01)
            yield
        finally:
            done.set()
        assert [answer.result().status for answer in answers] == [200] * count


def assert_busy(answer: Response) -> None:
    assert (answer.status, answer.headers.get("retry-after")) == (503, "1")
    assert error(answer) == "too many requests at a time, or the model is not ready; try again"
