"""The check of the GPUs, on the CPU."""

from pathlib import Path

import pytest

from scripts import check_gpu
from scripts.check_gpu import Epoch
from tests.conftest import PLAIN, write_csv

TINY = PLAIN | {"hidden_dim": "4", "embedding_dim": "4", "vocab_size": "500"}


def test_machine_without_gpu_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert check_gpu.main(["reviews.csv"]) == 1
    assert capsys.readouterr().err.startswith("error: torch finds no GPU")


@pytest.fixture
def reviews(few_reviews: list[tuple[str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(check_gpu, "TEXTS", 20)
    write_csv(tmp_path / "reviews.csv", few_reviews)
    return tmp_path / "reviews.csv"


@pytest.mark.whole_path
def test_job_is_resumed_and_predicts(reviews: Path) -> None:
    row = check_gpu.check(reviews, "fp32", 1, [f"--{name}={value}" for name, value in TINY.items()], True)
    assert row.startswith("fp32 | 1 | ")
    assert row.endswith(" | 0.00000 | yes")


def replace_job(monkeypatch: pytest.MonkeyPatch, epochs: list[Epoch], fault: str, difference: float) -> None:
    """Replace jobs and predictions; the second job runs the last of the epochs."""
    jobs = iter([(epochs[:1], fault), (epochs[1:], "")])
    answers = iter([([0.5], 1.0), ([0.5 + difference], 10.0)])
    monkeypatch.setattr(check_gpu, "run_job", lambda *_arguments, **_options: next(jobs))
    monkeypatch.setattr(check_gpu, "predict", lambda *_arguments: next(answers))


FIRST, SECOND = Epoch(1, 0.8, 100), Epoch(2, 0.9, 200)


@pytest.mark.parametrize(
    ("epochs", "fault", "difference", "ending"),
    [
        ([FIRST, SECOND], "", 0.02, "| 0.9 | yes | 10 | 0.02000 | yes"),
        ([FIRST, SECOND], "", 0.06, "| 0.9 | yes | 10 | 0.06000 | no"),
        ([FIRST, FIRST], "", 0.0, "| 0.8 | no | 10 | 0.00000 | no"),
        ([], "bf16 is not supported", 0.0, "| bf16 is not supported | no"),
        ([FIRST], "", 0.0, "| no second epoch | no"),
    ],
)
def test_row_shows_faults(
    reviews: Path,
    monkeypatch: pytest.MonkeyPatch,
    epochs: list[Epoch],
    fault: str,
    difference: float,
    ending: str,
) -> None:
    replace_job(monkeypatch, epochs, fault, difference)
    assert check_gpu.check(reviews, "bf16", 4, [], True).endswith(ending)


@pytest.mark.parametrize(("row", "code"), [("fp32 | yes", 0), ("fp32 | no", 1)])
def test_table_is_markdown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], row: str, code: int
) -> None:
    monkeypatch.setattr(check_gpu, "check", lambda *_arguments: row)
    assert check_gpu.main(["--cpu", "reviews.csv"]) == code
    lines = capsys.readouterr().out.splitlines()
    assert lines[2:] == [f"| {check_gpu.HEADER} |", "|" + " --- |" * 8, f"| {row} |", f"| {row} |"]
