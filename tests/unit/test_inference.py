"""The model server's handler with the server's own context, over the toy model."""

import faulthandler
import json
import logging
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from mms.context import Context, RequestProcessor

import inference
from byoc.errors import ArtifactError, PackageError
from byoc.serving import json_log, request
from byoc.serving.worker_status import workers
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


def make_folders(folder: Path, artifact: Path = toy.ARTIFACT) -> Path:
    """Create the folders of container/serving/model_registry.py; returns the model directory."""
    for name in ("models/model", "artifacts", "workers/model"):
        (folder / name).mkdir(parents=True)
    (folder / "artifacts" / "model").symlink_to(artifact)
    return folder / "models" / "model"


@pytest.fixture(scope="module", autouse=True)
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of a worker that has loaded the model, without its log and signal handlers."""
    folder = tmp_path_factory.mktemp("serve")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MODEL_PACKAGE", "tests.support.toy")
        patch.setattr(json_log, "use", lambda *_: None)
        patch.setattr(faulthandler, "enable", lambda: None)
        assert inference.handle(None, context(make_folders(folder))) is None
        yield folder


@pytest.fixture
def reload(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Load the model with these variables, for one test."""
    monkeypatch.setenv("MODEL_PACKAGE", "tests.support.toy")
    monkeypatch.setattr(inference, "_worker", None)

    def load(artifact: Path = toy.ARTIFACT, gpu: int | None = None, **environment: str) -> Path:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        inference.handle(None, context(make_folders(tmp_path, artifact), gpu=gpu))
        return tmp_path

    return load


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


def test_answer_has_status_and_content_type() -> None:
    answer = ask(b'"great"', JSON)
    assert (answer.status, answer.content_type) == (200, "application/json")
    assert json.loads(answer.body) == [{"answer": "GREAT", "length": 5}]


@pytest.mark.parametrize("name", ["content-type", "Content-Type", "CONTENT-TYPE"])
def test_header_names_ignore_case(name: str) -> None:
    assert ask(b"great", {name: "text/plain"}).status == 200


def test_malformed_header_is_ignored() -> None:
    # The server adds values that are no headers.
    assert ask(b"great", TEXT | {"body": bytearray(b"x"), "accept": None}).status == 200


def test_accept_selects_the_media_type() -> None:
    answer = ask(b"great", TEXT | {"accept": "text/csv"})
    assert answer.content_type == "text/csv"
    assert answer.body.startswith(b"GREAT,5")


@pytest.mark.parametrize(
    ("accept", "expected"),
    [(None, "text/csv"), ("*/*", "text/csv"), ("", "text/csv"), ("application/json", "application/json")],
)
def test_accept_default_comes_from_environment(reload: Any, accept: str | None, expected: str) -> None:
    reload(SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT="text/csv")
    headers = TEXT if accept is None else TEXT | {"Accept": accept}
    assert ask(b"great", headers).content_type == expected


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"{", JSON, 400),
        (b"great", TEXT | {"Accept": "text/html"}, 406),
        (b"great", {"Content-Type": "application/x-npy"}, 415),
        (b"great", {}, 415),
    ],
)
def test_refusal_has_status_and_reason(body: bytes, headers: dict[str, str], status: int) -> None:
    answer = ask(body, headers)
    assert answer.status == status
    assert error(answer)


def test_form_is_refused() -> None:
    asked = context(Path("/nowhere"), [{"Content-Type": "application/x-www-form-urlencoded"}])
    inference.handle([{"text": "great"}], asked)
    assert asked.get_response_status(0)[0] == 415


@pytest.mark.parametrize(
    ("variable", "body", "reason"),
    [
        ("SERVE_MAX_TEXTS", b'["a", "b", "c"]', "more than 2 texts; send them in several requests"),
        ("SERVE_MAX_CHARACTERS", b'"abc"', "body: 3 characters, expected at most 2"),
    ],
)
def test_limits_come_from_the_environment(reload: Any, variable: str, body: bytes, reason: str) -> None:
    reload(**{variable: "2"})
    answer = ask(body, JSON)
    assert (answer.status, error(answer)) == (400, reason)


def test_default_limits_are_byocs() -> None:
    worker = inference._worker
    assert worker is not None
    assert worker.limits == request.Limits(text_fields=("text", "sentence", "inputs"), labels=("good", "bad"))


@pytest.mark.parametrize("value", ["trace=1", "a", " ~", "x" * 1024])
def test_custom_attributes_are_returned(value: str) -> None:
    answer = ask(b"great", TEXT | {"x-amzn-sagemaker-custom-attributes": value})
    assert answer.headers["X-Amzn-SageMaker-Custom-Attributes"] == value


@pytest.mark.parametrize("value", ["", "a\r\nSet-Cookie: b", "a\x7f", "a\tb", "é", "\udcff", "\u2028"])
def test_unprintable_custom_attributes_are_dropped(value: str) -> None:
    answer = ask(b"great", TEXT | {"X-Amzn-SageMaker-Custom-Attributes": value})
    assert answer.status == 200
    assert "X-Amzn-SageMaker-Custom-Attributes" not in answer.headers


def test_refusal_returns_custom_attributes() -> None:
    assert (
        "X-Amzn-SageMaker-Custom-Attributes"
        in ask(b"{", JSON | {"X-Amzn-SageMaker-Custom-Attributes": "a"}).headers
    )


def test_answer_has_metrics() -> None:
    answer = ask(b'["great film", "great qqqq", ""]', JSON | {"X-Received": str(time.time() + 60)})
    assert answer.headers == {
        "X-batch-size": "1",
        "X-queue-seconds": "0.0",
        "X-texts": "3",
        "X-characters": "20",
        "X-longest": "10",
    }


def test_refusal_has_batch_metrics_only() -> None:
    assert set(ask(b"{", JSON).headers) == {"X-batch-size", "X-queue-seconds"}


def test_each_request_has_its_batch_size() -> None:
    answers = ask_together((b"great", TEXT), (b"{", JSON), (b"worst", TEXT))
    assert [answer.headers["X-batch-size"] for answer in answers] == ["3", "3", "3"]


def test_each_request_has_its_queue_time() -> None:
    now = time.time()
    answers = ask_together((b"great", TEXT | {"X-Received": str(now - 5)}), (b"great", TEXT))
    waited, not_known = [float(answer.headers["X-queue-seconds"]) for answer in answers]
    assert 5 <= waited < 35
    assert not_known == 0


@pytest.mark.parametrize("received", ["", "soon", "nan", "1e999"])
def test_malformed_time_of_arrival_is_0(received: str) -> None:
    assert ask(b"great", TEXT | {"X-Received": received}).headers["X-queue-seconds"] == "0.0"


def test_metrics_are_json_numbers() -> None:
    for value in ask(b'["great", "qqqq"]', JSON).headers.values():
        assert type(json.loads(value)) in (int, float)


def test_servers_own_metrics_are_off() -> None:
    asked = context(Path("/nowhere"), [TEXT])
    inference.handle([{"body": bytearray(b"great")}], asked)
    assert asked.metrics is None


def test_bad_request_harms_no_other() -> None:
    answers = ask_together((b'["great", "worst"]', JSON), (b"{", JSON), (b'"great"', JSON))
    assert [answer.status for answer in answers] == [200, 400, 200]
    both, one = json.loads(answers[0].body), json.loads(answers[2].body)
    assert len(both) == 2
    assert both[0] == one[0]


def test_each_request_has_its_media_type() -> None:
    answers = ask_together((b"great", TEXT | {"Accept": "text/csv"}), (b'"great"', JSON), (b'"great"', LINES))
    expected = ["text/csv", "application/json", "application/jsonlines"]
    assert [answer.content_type for answer in answers] == expected


LINES_OF_WHICH_ONE_IS_BAD = b'{"text": "great"}\n{"text": 7}\n"worst"\n'


def test_bad_line_is_named() -> None:
    answer = ask(LINES_OF_WHICH_ONE_IS_BAD, LINES)
    assert answer.status == 400
    assert error(answer) == 'line 2: expected a string, or an object with "text", "sentence" or "inputs"'


@pytest.mark.parametrize("flag", ["true", "True"])
def test_batch_transform_answers_bad_line_inline(reload: Any, flag: str) -> None:
    reload(SAGEMAKER_BATCH=flag)
    answer = ask(LINES_OF_WHICH_ONE_IS_BAD, LINES)
    assert answer.status == 200
    assert [sorted(json.loads(line)) for line in answer.body.split(b"\n")] == [
        ["answer", "length"],
        ["error"],
        ["answer", "length"],
    ]


def test_metrics_count_good_lines_only(reload: Any) -> None:
    reload(SAGEMAKER_BATCH="true")
    figures = ask(LINES_OF_WHICH_ONE_IS_BAD, LINES).headers
    assert (figures["X-texts"], figures["X-characters"]) == ("2", "10")


def test_batch_transform_has_no_limit_of_texts(reload: Any) -> None:
    reload(SAGEMAKER_BATCH="true", SERVE_MAX_TEXTS="2")
    answer = ask(b'"a"\n' * 19_000, LINES)
    assert (answer.status, answer.headers["X-texts"]) == (200, "19000")


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"[1,\n2", JSON),
        (b"great", {"Content-Type": "image/png"}),
        (b"1\n2\n", LINES),
        (b"id,stars\n1,2\n", {"Content-Type": "text/csv; header=present"}),
    ],
)
def test_batch_transform_refuses_nothing_but_errors(
    reload: Any, body: bytes, headers: dict[str, str]
) -> None:
    reload(SAGEMAKER_BATCH="true")
    assert ask(b"great", TEXT).status == 200
    assert ask(body, headers).status == 400


def test_first_single_record_without_text_is_refused(reload: Any, tmp_path: Path) -> None:
    reload(SAGEMAKER_BATCH="true")
    no_text = (b'{"stars": 1}', LINES)
    assert [ask(*no_text).status, ask(*no_text).status] == [400, 400]
    assert [ask(b'{"text": "a"}', LINES).status, ask(*no_text).status] == [200, 200]
    assert "error" in json.loads(ask(*no_text).body)
    # Another worker of the container.
    inference.handle(None, context(tmp_path / "models" / "model"))
    assert ask(*no_text).status == 200


def test_header_alone_is_no_decoded_record(reload: Any) -> None:
    reload(SAGEMAKER_BATCH="true")
    statuses = [ask(row, {"Content-Type": "text/csv"}).status for row in (b"id,text", b'1,"A film."')]
    assert statuses == [200, 400]


def test_unusable_text_is_an_error_record(reload: Any) -> None:
    reload(SAGEMAKER_BATCH="true")
    answer = ask(b"\xff", TEXT)
    assert (answer.status, answer.headers["X-texts"]) == (200, "0")
    assert json.loads(answer.body) == {"error": "line 1: not UTF-8 at byte offset 0"}


def test_batch_transform_predicts_lines_of_text(reload: Any) -> None:
    reload(SAGEMAKER_BATCH="true")
    answer = ask(b"great\nfilm\n\n", TEXT)
    assert (answer.content_type, answer.headers["X-texts"]) == ("application/jsonlines", "2")
    assert [json.loads(line)["answer"] for line in answer.body.split(b"\n")] == ["GREAT", "FILM"]


def let_answer(monkeypatch: pytest.MonkeyPatch, **more: object) -> None:
    """Add items to the answers to texts of more than 4 characters."""
    predict = toy.Model.predict

    def add(self: toy.Model, texts: Sequence[str]) -> list[dict[str, Any]]:
        return [{**result, **(more if result["length"] > 4 else {})} for result in predict(self, texts)]

    monkeypatch.setattr(toy.Model, "predict", add)


@pytest.mark.parametrize(("variable", "status"), [("", 200), ("truncate", 200), ("Refuse", 400)])
def test_truncated_text_may_be_refused(
    reload: Any, monkeypatch: pytest.MonkeyPatch, variable: str, status: int
) -> None:
    let_answer(monkeypatch, truncated=True)
    reload(SERVE_LONG_TEXTS=variable)
    answer = ask(b'["good", "great"]', JSON)
    assert answer.status == status
    if status == 200:
        assert [result.get("truncated") for result in json.loads(answer.body)] == [None, True]
    else:
        assert error(answer) == "text 2: longer than the model uses; shorten it"


def test_refused_truncated_text_is_an_error_record(reload: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    let_answer(monkeypatch, truncated=True)
    reload(SERVE_LONG_TEXTS="refuse", SAGEMAKER_BATCH="true")
    answer = ask(b'"good"\n"great"\n7', LINES)
    assert [next(iter(json.loads(line))) for line in answer.body.split(b"\n")] == ["answer", "error", "error"]


def test_answer_that_is_no_json_is_500(monkeypatch: pytest.MonkeyPatch) -> None:
    let_answer(monkeypatch, length=float("nan"))
    assert [ask(b"great", TEXT | {"Accept": accept}).status for accept in ("*/*", "text/plain")] == [500, 500]


def test_metric_that_is_no_json_is_500(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(toy.Model, "metrics", lambda *_: {"longest": float("inf")})
    assert ask(b"great", TEXT).status == 500


@pytest.mark.parametrize("number", [float("nan"), float("-inf")])
def test_model_that_answers_no_json_fails(
    reload: Any, monkeypatch: pytest.MonkeyPatch, number: float
) -> None:
    let_answer(monkeypatch, length=number)
    with pytest.raises(ArtifactError, match=r"the answer to 'A probe\.' is no JSON"):
        reload()


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


def test_fault_is_500_without_traceback(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    fail_on(monkeypatch, "great")
    answer = ask(b"great", TEXT)
    assert (answer.status, error(answer)) == (500, "the prediction failed; see the log")
    assert "secret detail" in caplog.text


def test_log_holds_no_text(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    fail_on(monkeypatch, "private")
    ask(b"private matters", TEXT)
    assert "private" not in caplog.text


def test_failing_text_harms_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    fail_on(monkeypatch, "bad")
    answers = ask_together((b"great", TEXT), (b"bad", TEXT), (b"worst", TEXT), (b"{", JSON))
    assert [answer.status for answer in answers] == [200, 500, 200, 400]


def test_others_of_failing_batch_are_unchanged(monkeypatch: pytest.MonkeyPatch) -> None:
    alone = ask(b'["great", "worst"]', JSON).body
    fail_on(monkeypatch, "bad")
    assert ask_together((b"bad", TEXT), (b'["great", "worst"]', JSON))[1].body == alone


def test_decoding_fault_is_500(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(request, "decode", lambda *_: 1 / 0)
    answer = ask(b"great", TEXT)
    assert (answer.status, error(answer)) == (500, "the request cannot be decoded; see the log")
    assert "ZeroDivisionError" in caplog.text


def test_batched_requests_are_predicted_together(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = fail_on(monkeypatch, "never")
    ask_together(*[(b'["great", "worst"]', JSON)] * 16)
    assert counts == [32]


@pytest.mark.parametrize(
    ("sizes", "steps"),
    [
        ([1, 1, 1], [3]),
        ([4], [4]),
        ([2, 2], [4]),
        ([2, 3], [2, 3]),
        ([9], [9]),
        ([1, 9, 1], [1, 9, 1]),
        ([9, 9], [9, 9]),
        ([1, 1, 1, 1, 1], [4, 1]),
    ],
)
def test_steps_hold_few_and_whole_requests(
    monkeypatch: pytest.MonkeyPatch, sizes: list[int], steps: list[int]
) -> None:
    monkeypatch.setattr(inference, "STEP_TEXTS", 4)
    counts = fail_on(monkeypatch, "never")
    answers = ask_together(*[(json.dumps(["great"] * size).encode(), JSON) for size in sizes])
    assert counts == steps
    assert [len(json.loads(answer.body)) for answer in answers] == sizes


def test_steps_keep_the_order(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [b"great", b"worst", b"film", b"bad"]
    alone = [ask(text, TEXT).body for text in texts]
    monkeypatch.setattr(inference, "STEP_TEXTS", 1)
    assert [answer.body for answer in ask_together(*[(text, TEXT) for text in texts])] == alone


def busy_seconds(folder: Path) -> float:
    """Seconds that this worker has been busy."""
    (worker,) = workers(folder / "workers" / "model")
    assert worker.pid == os.getpid()
    return worker.busy_seconds


def test_waiting_worker_is_idle(loaded: Path) -> None:
    ask(b"great", TEXT)
    assert busy_seconds(loaded) == 0


def test_predicting_worker_is_busy(loaded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[float] = []
    monkeypatch.setattr(toy.Model, "predict", lambda *_: seen.append(busy_seconds(loaded)))
    ask(b"great", TEXT)
    assert seen[0] > 0


def test_decoding_worker_is_busy(loaded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[float] = []

    def decode(*_arguments: object) -> list[str]:
        seen.append(busy_seconds(loaded))
        return []

    monkeypatch.setattr(request, "decode", decode)
    ask(b"great", TEXT)
    assert seen[0] > 0


def test_each_step_restarts_the_time(loaded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inference, "STEP_TEXTS", 1)
    begun: list[float] = []

    def predict(_self: toy.Model, texts: Sequence[str]) -> list[dict[str, Any]]:
        begun.append(time.monotonic() - busy_seconds(loaded))
        time.sleep(0.01)
        return [{"answer": "A", "length": 1}] * len(texts)

    monkeypatch.setattr(toy.Model, "predict", predict)
    ask_together((b"great", TEXT), (b"great", TEXT))
    assert begun[1] - begun[0] >= 0.01


@pytest.mark.parametrize("body", [b"great", b"bad", b""])
def test_worker_is_idle_after_a_fault(loaded: Path, monkeypatch: pytest.MonkeyPatch, body: bytes) -> None:
    fail_on(monkeypatch, "bad")
    ask(body, TEXT)
    assert busy_seconds(loaded) == 0


def test_worker_appears_after_its_probe(reload: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    predict = toy.Model.predict

    def count(self: toy.Model, texts: Sequence[str]) -> list[dict[str, Any]]:
        seen.append(len(workers(tmp_path / "workers" / "model")))
        return predict(self, texts)

    monkeypatch.setattr(toy.Model, "predict", count)
    reload()
    assert (seen, len(workers(tmp_path / "workers" / "model"))) == ([0], 1)


def test_model_that_cannot_predict_fails(
    reload: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_on(monkeypatch, "")
    with pytest.raises(RuntimeError):
        reload()
    assert workers(tmp_path / "workers" / "model") == []


@pytest.mark.parametrize("name", ["artifact.json", "toy.json"])
def test_damaged_file_is_named(reload: Any, tmp_path_factory: pytest.TempPathFactory, name: str) -> None:
    artifact = tmp_path_factory.mktemp("ml") / "model"
    shutil.copytree(toy.ARTIFACT, artifact)
    (artifact / name).write_bytes((artifact / name).read_bytes()[:-9])
    with pytest.raises(ArtifactError, match=name):
        reload(artifact)


def test_undeclared_metrics_fail_the_worker(reload: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(toy, "metric_names", ("shortest",))
    with pytest.raises(PackageError, match=r"\['longest'\]; expected metric_names: \['shortest'\]"):
        reload()


def test_missing_model_fails_the_worker(reload: Any, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="no trained model"):
        reload(tmp_path / "none")


@pytest.mark.parametrize(("environment", "level"), [({}, "info"), ({"SERVE_LOG_LEVEL": "ERROR"}, "ERROR")])
def test_log_level_comes_from_environment(
    reload: Any, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], level: str
) -> None:
    used: list[str] = []
    monkeypatch.setattr(json_log, "use", lambda level, _leave_out: used.append(level))
    reload(**environment)
    assert used == [level]


@pytest.mark.parametrize(
    ("name", "level", "error", "routine"),
    [
        ("root", logging.INFO, None, True),
        ("root", logging.ERROR, ValueError("Frontend disconnected"), True),
        ("root", logging.ERROR, ValueError("something else"), False),
        ("root", logging.ERROR, None, False),
        ("worker", logging.INFO, None, False),
    ],
)
def test_servers_routine_records_are_dropped(
    name: str, level: int, error: Exception | None, routine: bool
) -> None:
    exc_info = (type(error), error, None) if error else None
    record = logging.LogRecord(name, level, "", 0, "x", None, exc_info)
    assert inference._is_routine(record) == routine


def test_aborted_worker_logs_a_traceback(reload: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    enabled: list[bool] = []
    monkeypatch.setattr(faulthandler, "enable", lambda: enabled.append(True))
    reload()
    assert enabled == [True]


def test_broken_gpu_falls_back_to_cpu(
    reload: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    reload(gpu=1)
    (record,) = [record for record in caplog.records if record.levelname == "WARNING"]
    assert record.getMessage().startswith("cannot start CUDA on GPU 1; THE MODEL RUNS ON THE CPU")
    assert "InferenceAmiVersion" in record.getMessage()
    assert ask(b"great", TEXT).status == 200


def test_worker_uses_its_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert inference._device(1) == "cuda:1"


def test_worker_without_gpu_logs_nothing(caplog: pytest.LogCaptureFixture) -> None:
    assert (inference._device(None), caplog.records) == ("cpu", [])


EXPLAINED = b'{"inputs": ["great", "not great"], "parameters": {"explain": true}}'


def test_explanation_joins_the_prediction() -> None:
    assert json.loads(ask(EXPLAINED, JSON).body) == [
        {"answer": "GREAT", "length": 5, "explanation": {"words": 1}},
        {"answer": "NOT GREAT", "length": 9, "explanation": {"words": 2}},
    ]


@pytest.mark.parametrize("value", [b"false", b'"true"', b"{}"])
def test_explanation_needs_the_value_true(value: bytes) -> None:
    (result,) = json.loads(ask(b'{"inputs": "a", "parameters": {"explain": %s}}' % value, JSON).body)
    assert "explanation" not in result


def test_model_without_explanations_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(toy.Model, "explain")
    answer = ask(EXPLAINED, JSON)
    assert (answer.status, error(answer)) == (
        400,
        "this model offers no explanations; leave out the parameter explain",
    )
