"""Spinning of OpenMP threads."""

import os

import pytest

from byoc.spinning import bound_spinning


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    for name in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)


@pytest.mark.parametrize(("percent", "spins"), [(2.0, "300000"), (7.0, "1000")])
def test_busy_machine_bounds_spinning(monkeypatch: pytest.MonkeyPatch, percent: float, spins: str) -> None:
    monkeypatch.setattr("psutil.cpu_percent", lambda _interval: percent)
    bound_spinning()
    assert os.environ["GOMP_SPINCOUNT"] == spins


@pytest.mark.parametrize(("name", "value"), [("GOMP_SPINCOUNT", "7"), ("OMP_WAIT_POLICY", "ACTIVE")])
def test_variables_of_the_user_stay(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setattr("psutil.cpu_percent", lambda _interval: 99.0)
    monkeypatch.setenv(name, value)
    bound_spinning()
    variables = {key: os.environ[key] for key in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY") if key in os.environ}
    assert variables == {name: value}
