"""Whether requests would be answered: from what the workers report, never from a place in their queue."""

import time

from serving.models import Models

# The model server's network side is asked every second; this long without an answer, and it is not there.
SILENCE_SECONDS = 10


class Health:
    """The answer to a ping.

    Args:
        models: what is served.
        request_seconds: how long a worker may be busy with one request.
        multi_model: such an endpoint is healthy without a model.
    """

    def __init__(self, models: Models, request_seconds: float, *, multi_model: bool) -> None:
        self._models = models
        self._request_seconds = request_seconds
        self._multi_model = multi_model
        self._answered = float("-inf")

    def server_answered(self) -> None:
        """The model server's network side has just answered."""
        self._answered = time.monotonic()

    def reason_against(self) -> str | None:
        """Why there would be no answer; None when there would be one."""
        if time.monotonic() - self._answered > SILENCE_SECONDS:
            return "the model server does not answer"
        if self._multi_model:
            return None
        workers = self._models.workers("model")
        if not workers:
            return "no worker has loaded the model"
        if all(worker.busy_seconds > self._request_seconds for worker in workers):
            return f"every worker has been busy with one request for more than {self._request_seconds} s"
        return None
