"""The program: its configuration, its user, its port, and its stop."""

import contextlib
import http.client
import os
import socket
import subprocess
import time
from pathlib import Path

import psutil
import pytest

from serving import nginx
from serving.settings import Settings
from tests.support.nginx_requests import (
    UNHEALTHY,
    busy,
    invoke,
)
from tests.support.programs import free_port
from tests.support.running_nginx import RunningNginx, running_nginx


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"SAGEMAKER_MULTI_MODEL": "true"},
        {"SAGEMAKER_BATCH": "true"},
        {"SAGEMAKER_MAX_PAYLOAD_IN_MB": "0"},
        {"SAGEMAKER_MAX_PAYLOAD_IN_MB": "2047"},
        {"SAGEMAKER_MODEL_SERVER_TIMEOUT_SECONDS": "86400"},
        {"SERVE_LOG_LEVEL": "debug"},
        {"SERVE_LOG_LEVEL": "error"},
    ],
    ids=str,
)
def test_configuration_is_valid(nginx_program: str, tmp_path: Path, environment: dict[str, str]) -> None:
    settings = Settings.from_environment({"SAGEMAKER_BIND_TO_PORT": str(free_port())} | environment)
    (tmp_path / "nginx.conf").write_text(nginx.configuration(settings, tmp_path))
    result = subprocess.run(
        [*nginx.command(nginx_program, tmp_path), "-t"], capture_output=True, text=True, check=False
    )
    assert (result.returncode, "warn" in result.stderr) == (0, False), result.stderr


def test_binary_is_found_outside_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = nginx.find()
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    assert nginx.find() == expected


def test_taken_port_is_an_error(nginx_program: str, tmp_path: Path, server: RunningNginx) -> None:
    settings = Settings.from_environment({"SAGEMAKER_BIND_TO_PORT": str(server.port)})
    (tmp_path / "nginx.conf").write_text(nginx.configuration(settings, tmp_path))
    result = subprocess.run(
        nginx.command(nginx_program, tmp_path), capture_output=True, text=True, timeout=30, check=False
    )
    assert result.returncode == 1
    assert "Address already in use" in result.stderr


@pytest.mark.skipif(not nginx.can_switch_user(), reason="needs root's capabilities")
def test_client_process_is_not_root(server: RunningNginx) -> None:
    (worker,) = psutil.Process(server.process.pid).children()
    assert 0 not in worker.uids() + worker.gids()


def test_nginx_version_is_hidden(server: RunningNginx) -> None:
    assert invoke(server).headers["server"] == "nginx"


def test_stop_answers_requests_in_flight(nginx_program: str) -> None:
    with running_nginx(nginx_program) as server:
        with busy(server, 2):
            server.process.send_signal(3)
            while server.connects():
                time.sleep(0.01)
        assert server.process.wait(10) == 0


def test_stop_does_not_await_idle_clients(nginx_program: str) -> None:
    with running_nginx(nginx_program) as server, contextlib.closing(server.connect()) as connection:
        connection.request("GET", "/ping")
        connection.getresponse().read()
        assert server.quit() == 0


@pytest.mark.skipif(not nginx.has_ipv6(), reason="the kernel has no IPv6")
def test_server_listens_on_ipv6(server: RunningNginx) -> None:
    with contextlib.closing(http.client.HTTPConnection("::1", server.port, timeout=10)) as connection:
        connection.request("GET", "/ping")
        assert connection.getresponse().status == 200


@pytest.mark.skipif(os.geteuid() != 0, reason="only root needs capabilities")
def test_root_without_capabilities_keeps_its_user(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without the directive nginx would change to the user of its build."""
    monkeypatch.setattr(nginx, "can_switch_user", lambda: False)
    assert "user root root;" in nginx.configuration(Settings.from_environment({}), tmp_path)


def test_kernel_without_ipv6_gets_ipv4_only(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(nginx, "has_ipv6", lambda: False)
    assert "[::]" not in nginx.configuration(Settings.from_environment({}), tmp_path)


@pytest.mark.parametrize(
    ("capabilities", "expected"),
    [
        ("00000000a80425fb", True),  # Docker's default
        ("00000000000000c3", True),
        ("0000000000000000", False),
        ("00000000a804257b", False),  # without SETUID
        ("00000000a80425bb", False),  # without SETGID
        ("00000000a80425fa", False),  # without CHOWN
        ("00000000a80425f9", False),  # without DAC_OVERRIDE
    ],
)
def test_capabilities_decide_on_user_switch(tmp_path: Path, capabilities: str, expected: bool) -> None:
    status = tmp_path / "status"
    status.write_text(f"Name:\tserve\nCapEff:\t{capabilities}\n")
    assert nginx.can_switch_user(status) is expected


def test_answering_nginx_is_up(server: RunningNginx) -> None:
    server.management = lambda _request: UNHEALTHY
    assert nginx.is_up(server.port)


def test_silent_port_is_not_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert not nginx.is_up(silent.getsockname()[1])
    assert not nginx.is_up(free_port())
