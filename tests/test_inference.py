"""The model server's handler, with the model server's own context."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from mms.context import Context, RequestProcessor

import inference
from sentiment.errors import ArtifactError
from sentiment.predictor import Predictor

FORMAT_1 = Path(__file__).parent / "artifact_format_1"


def context(*headers: dict[str, str]) -> Context:
    result = Context("model", "/nowhere", None, len(headers), None, "1.1.11")
    result.request_processor = [RequestProcessor(dict(one)) for one in headers]
    return result


@pytest.fixture(scope="module", autouse=True)
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    base = tmp_path_factory.mktemp("ml")
    (base / "model").symlink_to(FORMAT_1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SAGEMAKER_BASE_DIR", str(base))
        assert inference.handle(None, context()) is None
        yield


def ask(body: bytes, headers: dict[str, str]) -> tuple[int, str, bytes]:
    """Status, content type and body of the answer to one request."""
    asked = context(headers)
    answers = inference.handle([{"body": bytearray(body)}], asked)
    assert answers is not None
    status = asked.get_response_status(0)[0]
    return status, asked.get_response_content_type(0), answers[0]


def test_answer_has_the_default_status_and_its_content_type() -> None:
    status, content_type, body = ask(b'"great"', {"Content-Type": "application/json"})
    assert (status, content_type) == (200, "application/json")
    assert json.loads(body)[0]["label"] == "positive"


@pytest.mark.parametrize("name", ["content-type", "Content-Type", "CONTENT-TYPE"])
def test_header_names_in_any_case(name: str) -> None:
    assert ask(b"great", {name: "text/plain"})[0] == 200


def test_accept_is_served() -> None:
    _, content_type, body = ask(b"great", {"Content-Type": "text/plain", "accept": "text/csv"})
    assert content_type == "text/csv"
    assert body.startswith(b"positive,")


def test_default_accept_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT", "text/csv")
    assert ask(b"great", {"Content-Type": "text/plain"})[1] == "text/csv"
    assert ask(b"great", {"Content-Type": "text/plain", "Accept": "*/*"})[1] == "text/csv"
    accept_json = {"Content-Type": "text/plain", "Accept": "application/json"}
    assert ask(b"great", accept_json)[1] == "application/json"


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"{", {"Content-Type": "application/json"}, 400),
        (b"great", {"Content-Type": "text/plain", "Accept": "text/html"}, 406),
        (b"great", {"Content-Type": "application/x-npy"}, 415),
        (b"great", {}, 415),
    ],
)
def test_refusal_has_status_and_reason(body: bytes, headers: dict[str, str], status: int) -> None:
    actual, content_type, answer = ask(body, headers)
    assert (actual, content_type) == (status, "application/json")
    assert json.loads(answer)["error"]


def test_form_is_refused() -> None:
    asked = context({"Content-Type": "application/x-www-form-urlencoded"})
    inference.handle([{"text": "great"}], asked)
    assert asked.get_response_status(0)[0] == 415


def test_one_bad_request_does_not_harm_its_neighbours() -> None:
    asked = context(*[{"Content-Type": "application/json"}] * 3)
    bodies = [b'["great", "worst"]', b"{", b'"great"']
    answers = inference.handle([{"body": bytearray(body)} for body in bodies], asked)
    assert answers is not None
    assert [asked.get_response_status(i)[0] for i in range(3)] == [200, 400, 200]
    assert len(json.loads(answers[0])) == 2
    assert json.loads(answers[0])[0] == json.loads(answers[2])[0]


def test_fault_of_ours_is_500_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_arguments: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(Predictor, "predict", fail)
    status, _, answer = ask(b"great", {"Content-Type": "text/plain"})
    assert status == 500
    assert b"secret detail" not in answer
    assert "secret detail" in caplog.text


def test_model_that_cannot_be_loaded_fails_the_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAGEMAKER_BASE_DIR", str(tmp_path))
    with pytest.raises(ArtifactError):
        inference.handle(None, context())
