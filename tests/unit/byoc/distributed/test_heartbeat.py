"""The hosts' word to each other, on one machine."""

import json
import socket
import struct
import time
from collections.abc import Callable, Iterator

import pytest

from byoc.distributed.heartbeat import Peers
from byoc.errors import HostError
from byoc.opt_ml import Hosts

NAMES = ["127.0.0.1", "second", "third"]


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def three(port: int) -> Iterator[list[Peers]]:
    """Three hosts; a test takes out the ones that it ends itself."""
    peers = [Peers(Hosts(name, NAMES, None), port, silence=5).__enter__() for name in NAMES]
    ended = list(peers)
    assert all(peer.wait(10) for peer in peers)
    yield ended
    for peer in peers:
        if peer in ended:
            peer.__exit__()


def wait_until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize("host", [0, 1])
def test_failure_of_one_is_told_to_all_with_its_reason(three: list[Peers], host: int) -> None:
    three[host].finish("the disk is full\ngive it a larger one")
    for i in {0, 1, 2} - {host}:
        wait_until(lambda i=i: three[i].failure)  # type: ignore[misc]
        with pytest.raises(HostError, match=f"^host {NAMES[host]}: the disk is full\ngive it a larger one$"):
            three[i].check()


@pytest.mark.parametrize("host", [0, 1])
def test_stop_of_one_is_told_to_all(three: list[Peers], host: int) -> None:
    three[host].stop()
    for i in {0, 1, 2} - {host}:
        wait_until(lambda i=i: three[i].told_to_stop)  # type: ignore[misc]
    assert all(peer.failure is None for peer in three)


def test_end_of_one_that_is_done_is_no_failure(three: list[Peers]) -> None:
    peers = [three.pop(1), three.pop(0), three.pop()]
    for peer in peers:
        peer.finish()
        peer.__exit__()
    assert all(peer.failure is None for peer in peers)


@pytest.mark.parametrize("host", [0, 1])
def test_end_without_a_word_is_told_to_all(three: list[Peers], host: int) -> None:
    three.pop(host).__exit__()
    for peer in three:
        wait_until(lambda peer=peer: peer.failure)  # type: ignore[misc]
        assert f"host {NAMES[host]} has ended without a word" in str(peer.failure)


def test_reset_connection_is_an_end_without_a_word(port: int) -> None:
    with Peers(Hosts("127.0.0.1", NAMES[:2], None), port) as first:
        with socket.create_connection(("127.0.0.1", port)) as second:
            second.sendall(json.dumps({"host": "second", "word": "alive"}).encode() + b"\n")
            assert first.wait(10)
            at_once = struct.pack("ii", 1, 0)
            second.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
        wait_until(lambda: first.failure)
    assert str(first.failure).startswith("host second has ended without a word")


def test_silence_is_the_end(port: int) -> None:
    with (
        Peers(Hosts("127.0.0.1", NAMES[:2], None), port, silence=1) as first,
        socket.create_connection(("127.0.0.1", port)) as second,
    ):
        second.sendall(json.dumps({"host": "second", "word": "alive"}).encode() + b"\n")
        assert first.wait(10)
        wait_until(lambda: first.failure)
    lost = "host second has not been heard of for 1 seconds: it or its network is gone\n"
    assert str(first.failure).startswith(lost)


@pytest.mark.parametrize("content", [b"GET / HTTP/1.1\n", b'{"host": "stranger"}\n', b"[]\n", b"\xff\n", b""])
def test_stranger_changes_nothing(three: list[Peers], port: int, content: bytes) -> None:
    with socket.create_connection(("127.0.0.1", port)) as stranger:
        stranger.sendall(content)
        stranger.shutdown(socket.SHUT_WR)
        while stranger.recv(100):
            pass
    assert all(peer.failure is None for peer in three)


def test_first_host_may_come_last(port: int) -> None:
    with Peers(Hosts("second", NAMES[:2], None), port) as second:
        assert not second.wait(1)
        with Peers(Hosts("127.0.0.1", NAMES[:2], None), port) as first:
            assert second.wait(10)
            assert first.wait(10)
            first.finish()
            second.finish()


def test_host_that_does_not_come_is_named(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("byoc.distributed.heartbeat._START", 0.5)
    with Peers(Hosts("127.0.0.1", NAMES, None), port) as first:
        wait_until(lambda: first.failure)
    assert str(first.failure).startswith("host second, third did not come up in")


def test_first_host_that_cannot_be_reached_is_named(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("byoc.distributed.heartbeat._START", 0.5)
    with Peers(Hosts("second", NAMES, None), port) as second:
        wait_until(lambda: second.failure)
    assert str(second.failure).startswith(f"host 127.0.0.1 could not be reached at port {port} in")


def test_port_that_is_taken_is_named(port: int) -> None:
    with socket.create_server(("", port)), Peers(Hosts("127.0.0.1", NAMES, None), port) as first:
        with pytest.raises(HostError, match=f"port {port} cannot be listened at"):
            first.check()
        first.finish("whatever")
