"""The image's own handler behind FastAPI and uvicorn, with batches as Multi Model Server forms them.

Each worker process has a model. Requests that arrive while it predicts form the next batch.
"""

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

from fastapi import FastAPI, Request, Response

import inference

BATCH_SIZE = 16
BATCH_DELAY_SECONDS = 0.001

Waiting = tuple[Mapping[str, str], bytes, asyncio.Future[Response]]  # headers, body, answer


class Context:
    """The part of Multi Model Server's context that the handler uses, for one batch."""

    def __init__(self, model_dir: Path, headers: Sequence[Mapping[str, str]]) -> None:
        self.system_properties = {"model_dir": str(model_dir)}
        self.headers = headers
        self.answers = [Response() for _ in headers]

    def get_all_request_header(self, index: int) -> Mapping[str, str]:
        """Headers of a request."""
        return self.headers[index]

    def set_response_status(self, status: int, _phrase: str, index: int) -> None:
        """Set the status of an answer."""
        self.answers[index].status_code = status

    def set_response_content_type(self, index: int, media_type: str) -> None:
        """Set the media type of an answer."""
        self.set_response_header(index, "content-type", media_type)

    def set_response_header(self, index: int, name: str, value: str) -> None:
        """Set a header of an answer."""
        self.answers[index].headers[name] = value


@contextlib.asynccontextmanager
async def load_model(app: FastAPI) -> AsyncIterator[None]:
    """Load the model, and answer batches until the server stops."""
    base = Path(tempfile.mkdtemp())
    for name in ("models/model", "workers/model", "artifacts"):
        (base / name).mkdir(parents=True)
    (base / "artifacts" / "model").symlink_to("/opt/ml/model")
    inference.handle(None, Context(base / "models" / "model", []))
    app.state.queue = asyncio.Queue()
    batches = asyncio.create_task(run_batches(app.state.queue, base / "models" / "model"))
    yield
    batches.cancel()


async def run_batches(queue: "asyncio.Queue[Waiting]", model_dir: Path) -> None:
    """Answer the waiting requests, a batch at a time."""
    while True:
        batch = [await queue.get()]
        await asyncio.sleep(BATCH_DELAY_SECONDS)
        while len(batch) < BATCH_SIZE and not queue.empty():
            batch.append(queue.get_nowait())
        context = Context(model_dir, [headers for headers, _, _ in batch])
        data = [{"body": body} for _, body, _ in batch]
        bodies = await asyncio.to_thread(inference.handle, data, context) or []
        for (_, _, future), answer, body in zip(batch, context.answers, bodies, strict=True):
            answer.body = body
            answer.headers["content-length"] = str(len(body))
            if not future.cancelled():
                future.set_result(answer)


async def invocations(request: Request) -> Response:
    """Wait for the answer of the request's batch."""
    answer = asyncio.get_running_loop().create_future()
    await request.app.state.queue.put((request.headers, await request.body(), answer))
    return await answer


app = FastAPI(lifespan=load_model)
app.add_api_route("/invocations", invocations, methods=["POST"])
