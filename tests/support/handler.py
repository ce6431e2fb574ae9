"""The model server's handler with the server's own context, over the toy model."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from mms.context import Context, RequestProcessor

import inference
from tests.support import toy

TEXT = {"Content-Type": "text/plain"}
JSON = {"Content-Type": "application/json"}
LINES = {"Content-Type": "application/jsonlines"}


class Answer(NamedTuple):
    """The answer to a request; the content type is not among the headers."""

    status: int
    content_type: str
    headers: dict[str, str]
    body: bytes


def context(model_dir: Path, headers: Sequence[dict[str, Any]] = (), gpu: int | None = None) -> Context:
    result = Context("model", str(model_dir), None, len(headers), gpu, "1.1.11")
    result.request_processor = [RequestProcessor(dict(names)) for names in headers]
    return result


def ask_together(*requests: tuple[bytes, dict[str, Any]]) -> list[Answer]:
    """The answers to a batch of requests."""
    asked = context(Path("/nowhere"), [headers for _, headers in requests])
    bodies = inference.handle([{"body": bytearray(body)} for body, _ in requests], asked)
    assert bodies is not None
    answers = []
    for i, body in enumerate(bodies):
        headers = dict(asked.get_response_headers(i))
        content_type = headers.pop("content-type")
        answers.append(Answer(asked.get_response_status(i)[0], content_type, headers, body))
    return answers


def ask(body: bytes, headers: dict[str, Any]) -> Answer:
    return ask_together((body, headers))[0]


def error(answer: Answer) -> str:
    """The reason in a refusal."""
    assert answer.content_type == "application/json"
    reason: str = json.loads(answer.body)["error"]
    return reason


def let_answer(monkeypatch: pytest.MonkeyPatch, **more: object) -> None:
    """Add items to the answers to texts of more than 4 characters."""
    predict = toy.Model.predict

    def add(self: toy.Model, texts: Sequence[str]) -> list[dict[str, Any]]:
        return [{**result, **(more if result["length"] > 4 else {})} for result in predict(self, texts)]

    monkeypatch.setattr(toy.Model, "predict", add)


def fail_on(monkeypatch: pytest.MonkeyPatch, word: str) -> list[int]:
    """Let predictions of texts with this word fail; returns the number of texts of each call."""
    predict = toy.Model.predict
    counts: list[int] = []

    def fail(self: toy.Model, texts: Sequence[str]) -> list[dict[str, Any]]:
        counts.append(len(texts))
        if any(word in text for text in texts):
            raise RuntimeError("secret detail")
        return predict(self, texts)

    monkeypatch.setattr(toy.Model, "predict", fail)
    return counts
