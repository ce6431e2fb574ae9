"""Several requests in a batch: none harms another."""

import json
import time
from pathlib import Path

import pytest

import inference
from byoc.serving import request
from tests.support.handler import JSON, LINES, TEXT, ask, ask_together, error, fail_on


def test_each_request_has_its_batch_size() -> None:
    answers = ask_together((b"great", TEXT), (b"{", JSON), (b"worst", TEXT))
    assert [answer.headers["X-batch-size"] for answer in answers] == ["3", "3", "3"]


def test_each_request_has_its_queue_time() -> None:
    now = time.time()
    answers = ask_together((b"great", TEXT | {"X-Received": str(now - 5)}), (b"great", TEXT))
    waited, not_known = [float(answer.headers["X-queue-seconds"]) for answer in answers]
    assert 5 <= waited < 35
    assert not_known == 0


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


def test_large_body_is_read_from_its_file(tmp_path: Path) -> None:
    file = tmp_path / "body"
    file.write_bytes(b'["great", "worst"]')
    assert ask(b"", JSON | {"X-Body-File": str(file)}).body == ask(file.read_bytes(), JSON).body


def test_large_body_has_a_step_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Its records are not in memory while another large body is decoded."""
    file = tmp_path / "body"
    file.write_bytes(b'["great", "great", "great"]')
    small, large = (b'"great"', JSON), (b"", JSON | {"X-Body-File": str(file)})
    counts = fail_on(monkeypatch, "never")
    answers = ask_together(small, small, large, large, small)
    assert counts == [2, 3, 3, 1]
    assert [answer.status for answer in answers] == [200] * 5


def test_lost_body_is_500(caplog: pytest.LogCaptureFixture) -> None:
    answer = ask(b"", JSON | {"X-Body-File": "/nowhere"})
    assert (answer.status, error(answer)) == (500, "the request cannot be decoded; see the log")
    assert "/nowhere" in caplog.text
