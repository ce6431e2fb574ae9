"""The image's own handler behind uvicorn: an ASGI application that batches as Multi Model Server does.

Each worker process has a model. Requests that arrive while it predicts form the next batch.
"""

import asyncio
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import inference

BATCH_SIZE = 16
BATCH_DELAY_SECONDS = 0.001


class Request(NamedTuple):
    """A request, and the future of its status, headers and body."""

    headers: Mapping[str, str]
    body: bytes
    answer: asyncio.Future[tuple[int, dict[str, str], bytes]]


class Context:
    """The part of Multi Model Server's context that the handler uses, for one batch."""

    def __init__(self, model_dir: Path, headers: list[Mapping[str, str]]) -> None:
        self.system_properties = {"model_dir": str(model_dir)}
        self.headers = headers
        self.statuses = [500] * len(headers)
        self.response_headers: list[dict[str, str]] = [{} for _ in headers]

    def get_all_request_header(self, index: int) -> Mapping[str, str]:
        """Headers of a request."""
        return self.headers[index]

    def set_response_status(self, status: int, _phrase: str, index: int) -> None:
        """Set the status of an answer."""
        self.statuses[index] = status

    def set_response_content_type(self, index: int, media_type: str) -> None:
        """Set the media type of an answer."""
        self.set_response_header(index, "content-type", media_type)

    def set_response_header(self, index: int, name: str, value: str) -> None:
        """Set a header of an answer."""
        self.response_headers[index][name] = value


class Application:
    """Loads the model at the start, and answers ``POST /invocations``."""

    def __init__(self) -> None:
        base = Path(tempfile.mkdtemp())
        self._model_dir = base / "models" / "model"
        for folder in (self._model_dir, base / "workers", base / "artifacts"):
            folder.mkdir(parents=True)
        (base / "workers" / "model").mkdir()
        (base / "artifacts" / "model").symlink_to("/opt/ml/model")

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one ASGI scope: the start and stop of the server, or a request."""
        if scope["type"] == "lifespan":
            await receive()
            inference.handle(None, Context(self._model_dir, []))
            self._queue: asyncio.Queue[Request] = asyncio.Queue()
            batches = asyncio.create_task(self._run_batches())
            await send({"type": "lifespan.startup.complete"})
            await receive()
            batches.cancel()
            return
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message["body"], message.get("more_body", False)
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        request = Request(headers, body, asyncio.get_running_loop().create_future())
        await self._queue.put(request)
        status, answer_headers, body = await request.answer
        pairs = [(name.encode(), value.encode()) for name, value in answer_headers.items()]
        pairs.append((b"content-length", str(len(body)).encode()))
        await send({"type": "http.response.start", "status": status, "headers": pairs})
        await send({"type": "http.response.body", "body": body})

    async def _run_batches(self) -> None:
        while True:
            batch = [await self._queue.get()]
            await asyncio.sleep(BATCH_DELAY_SECONDS)
            while len(batch) < BATCH_SIZE and not self._queue.empty():
                batch.append(self._queue.get_nowait())
            context = Context(self._model_dir, [request.headers for request in batch])
            data = [{"body": request.body} for request in batch]
            bodies = await asyncio.to_thread(inference.handle, data, context)
            for i, request in enumerate(batch):
                if not request.answer.cancelled():
                    request.answer.set_result(
                        (context.statuses[i], context.response_headers[i], (bodies or [])[i])
                    )


app = Application()
