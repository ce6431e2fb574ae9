"""The helper for containers fails when it should."""

import pytest

from tests.image.containers import Container, docker, unexpected


@pytest.mark.parametrize(
    "line",
    [
        "2026-01-01 ERROR Something broke",
        "UserWarning: deprecated",
        "Traceback (most recent call last):",
        "error: the model server ended by itself",
        '{"time": "2026-01-01", "level": "warning", "source": "x", "message": "y"}',
        "ValueError: no",
        "\tat org.example.Main(Main.java:1)",
    ],
)
def test_suspicious_line_is_reported(line: str) -> None:
    assert unexpected(f"all is well\n{line}\n") == [line]


def test_ordinary_line_is_not_reported() -> None:
    assert unexpected("validation_calibration_error=0.0599; the model is in /opt/ml/model") == []


def test_announced_line_is_allowed() -> None:
    assert unexpected("error: no such file", expect=["^error: no such"]) == []


def test_logged_error_fails_the_test(image: str) -> None:
    with (
        pytest.raises(AssertionError, match="unexpected in the log"),
        Container(image, "bash", "-c", "echo ERROR: bad >&2") as container,
    ):
        container.wait()


def test_missing_announced_line_fails_the_test(image: str) -> None:
    with (
        pytest.raises(AssertionError, match="not in the log"),
        Container(image, "true", expect=["^x"]) as container,
    ):
        container.wait()


def test_failing_test_removes_its_container(image: str) -> None:
    with pytest.raises(ZeroDivisionError), Container(image, "sleep", "60") as container:
        raise ZeroDivisionError
    assert container.id not in docker("ps", "--all", "--quiet", "--no-trunc")
