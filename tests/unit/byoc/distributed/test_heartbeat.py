"""Heartbeats between three hosts on one machine."""

import json
import socket
import struct
import time
from collections.abc import Callable, Iterator

import pytest

from byoc.distributed.heartbeat import HeartbeatMonitor
from byoc.errors import HostError
from byoc.opt_ml import Hosts

NAMES = ["127.0.0.1", "second", "third"]


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def three(port: int) -> Iterator[list[HeartbeatMonitor]]:
    """The monitors of three hosts; a test removes a monitor that it ends itself."""
    monitors = [HeartbeatMonitor(Hosts(name, NAMES, None), port, timeout=5).__enter__() for name in NAMES]
    assert all(monitor.wait(10) for monitor in monitors)
    yield monitors
    for monitor in monitors:
        monitor.__exit__()


def wait_until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize("host", [0, 1])
def test_failure_reaches_all_hosts(three: list[HeartbeatMonitor], host: int) -> None:
    three[host].finish("the disk is full\ngive it a larger one")
    for i in {0, 1, 2} - {host}:
        wait_until(lambda i=i: three[i].failure)  # type: ignore[misc]
        with pytest.raises(HostError, match=f"^host {NAMES[host]}: the disk is full\ngive it a larger one$"):
            three[i].check()


@pytest.mark.parametrize("host", [0, 1])
def test_stop_request_reaches_all_hosts(three: list[HeartbeatMonitor], host: int) -> None:
    three[host].request_stop()
    for i in {0, 1, 2} - {host}:
        wait_until(lambda i=i: three[i].stop_requested)  # type: ignore[misc]
    assert all(monitor.failure is None for monitor in three)


def test_end_after_success_is_no_failure(three: list[HeartbeatMonitor]) -> None:
    monitors = [three.pop(1), three.pop(0), three.pop()]
    for monitor in monitors:
        monitor.finish()
        monitor.__exit__()
    assert all(monitor.failure is None for monitor in monitors)


@pytest.mark.parametrize("host", [0, 1])
def test_disconnection_without_message_is_a_failure(three: list[HeartbeatMonitor], host: int) -> None:
    three.pop(host).__exit__()
    for monitor in three:
        wait_until(lambda monitor=monitor: monitor.failure)  # type: ignore[misc]
        assert f"host {NAMES[host]} disconnected without a message" in str(monitor.failure)


def test_reset_connection_is_a_failure(port: int) -> None:
    with HeartbeatMonitor(Hosts("127.0.0.1", NAMES[:2], None), port) as first:
        with socket.create_connection(("127.0.0.1", port)) as second:
            second.sendall(json.dumps({"host": "second", "event": "alive"}).encode() + b"\n")
            assert first.wait(10)
            at_once = struct.pack("ii", 1, 0)
            second.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
        wait_until(lambda: first.failure)
    assert str(first.failure).startswith("host second disconnected without a message")


def test_missing_heartbeat_is_a_failure(port: int) -> None:
    with (
        HeartbeatMonitor(Hosts("127.0.0.1", NAMES[:2], None), port, timeout=1) as first,
        socket.create_connection(("127.0.0.1", port)) as second,
    ):
        second.sendall(json.dumps({"host": "second", "event": "alive"}).encode() + b"\n")
        assert first.wait(10)
        wait_until(lambda: first.failure)
    assert str(first.failure).startswith("host second has sent no heartbeat for 1 seconds: ")


@pytest.mark.parametrize("content", [b"GET / HTTP/1.1\n", b'{"host": "stranger"}\n', b"[]\n", b"\xff\n", b""])
def test_unknown_client_is_ignored(three: list[HeartbeatMonitor], port: int, content: bytes) -> None:
    with socket.create_connection(("127.0.0.1", port)) as stranger:
        stranger.sendall(content)
        stranger.shutdown(socket.SHUT_WR)
        while stranger.recv(100):
            pass
    assert all(monitor.failure is None for monitor in three)


def test_first_host_may_start_last(port: int) -> None:
    with HeartbeatMonitor(Hosts("second", NAMES[:2], None), port) as second:
        assert not second.wait(1)
        with HeartbeatMonitor(Hosts("127.0.0.1", NAMES[:2], None), port) as first:
            assert second.wait(10)
            assert first.wait(10)
            first.finish()
            second.finish()


def test_missing_hosts_are_named(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("byoc.distributed.heartbeat._START_TIMEOUT", 0.5)
    with HeartbeatMonitor(Hosts("127.0.0.1", NAMES, None), port) as first:
        wait_until(lambda: first.failure)
    assert str(first.failure).startswith("host second, third did not connect within")


def test_unreachable_first_host_is_named(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("byoc.distributed.heartbeat._START_TIMEOUT", 0.5)
    with HeartbeatMonitor(Hosts("second", NAMES, None), port) as second:
        wait_until(lambda: second.failure)
    assert str(second.failure).startswith(f"host 127.0.0.1: cannot connect to port {port} within")


def test_port_in_use_is_named(port: int) -> None:
    with socket.create_server(("", port)), HeartbeatMonitor(Hosts("127.0.0.1", NAMES, None), port) as first:
        with pytest.raises(HostError, match=f"cannot listen on port {port}: Address already in use"):
            first.check()
        first.finish("any reason")
