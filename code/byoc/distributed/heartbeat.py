"""Heartbeats between the hosts of a job, which also carry stop requests and failures.

The first host listens and relays, the rest connect to it; a message is a line of JSON. TCP alone does not
suffice: it can take minutes to notice that a host or its network is gone, or never notice.
"""

import asyncio
import contextlib
import json
import os
import threading
from collections.abc import Callable
from typing import Self

from byoc.errors import HostError
from byoc.opt_ml import Hosts

PORT = 7778
TIMEOUT = 30.0  # seconds without a message after which a host counts as lost
_INTERVAL = 2.0  # seconds between two heartbeats
_START_TIMEOUT = 600.0  # seconds for all hosts to connect


class HeartbeatMonitor:
    """One host's connection to the other hosts; a context manager that runs it in a thread.

    Attributes:
        all_connected: set once all hosts are connected.
        stop_requested: whether another host requested a stop.
        failure: why the job failed on any host; None as long as it has not.
    """

    def __init__(self, hosts: Hosts, port: int = PORT, timeout: float = TIMEOUT) -> None:
        self.all_connected = threading.Event()
        self.stop_requested = False
        self.failure: str | None = None
        self._hosts = hosts
        self._first = hosts.names[0]
        self._is_first = hosts.position == 0
        self._port = port
        self._timeout = timeout
        self._writers: dict[str, asyncio.StreamWriter] = {}
        self._finished: set[str] = set()
        self._started = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)

    def __enter__(self) -> Self:
        """Start to listen or to connect."""
        self._thread.start()
        self._started.wait()
        return self

    def __exit__(self, *_: object) -> None:
        """Close all connections after the last messages have arrived."""
        self._call_soon(self._closing.set)
        self._thread.join(timeout=10)

    def wait(self, seconds: float) -> bool:
        """Wait for the other hosts; returns whether all are connected.

        Raises:
            HostError: the job failed on a host, or a host is missing.
        """
        self.check()
        return self.all_connected.wait(seconds)

    def check(self) -> None:
        """Check that the job has not failed on any host.

        Raises:
            HostError: the failure of the first host that failed.
        """
        if self.failure is not None:
            raise HostError(self.failure)

    def request_stop(self) -> None:
        """Send a stop request to the other hosts."""
        self._call_soon(self._send, "stop")

    def finish(self, failure: str | None = None) -> None:
        """Send the end of this host's job to the other hosts: success, or the reason of its failure."""
        message = ("done",) if failure is None else ("failed", f"host {self._hosts.current}: {failure}")
        self._call_soon(self._send, *message)

    def _call_soon(self, function: Callable[..., object], *arguments: str) -> None:
        with contextlib.suppress(RuntimeError):  # the event loop ended because the port is in use
            self._loop.call_soon_threadsafe(function, *arguments)

    async def _run(self) -> None:
        """The thread's event loop."""
        self._loop = asyncio.get_running_loop()
        self._closing = asyncio.Event()
        server = None
        if self._is_first and len(self._hosts.names) > 1:
            try:
                # On every interface, like torch's own store.
                server = await asyncio.start_server(self._accept, None, self._port)
            except OSError as error:
                self.failure = f"cannot listen on port {self._port}: {os.strerror(error.errno or 0)}"
                self._started.set()
                return
        connecting = asyncio.create_task(self._wait_for_all() if self._is_first else self._connect())
        heartbeats = asyncio.create_task(self._send_heartbeats())
        self._started.set()
        await self._closing.wait()
        connecting.cancel()
        heartbeats.cancel()
        await self._close()
        if server is not None:
            server.close()

    async def _wait_for_all(self) -> None:
        expected = set(self._hosts.names) - {self._hosts.current}
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_START_TIMEOUT):
                while expected - self._writers.keys():
                    await asyncio.sleep(0.1)
            self.all_connected.set()
            self._send("all connected")
            return
        missing = ", ".join(sorted(expected - self._writers.keys()))
        self._fail(f"host {missing} did not connect within {_START_TIMEOUT / 60:.0f} minutes")

    async def _connect(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_START_TIMEOUT):
                reader, self._writers[self._first] = await self._open()
            self._send("alive")
            await self._listen(self._first, reader)
            return
        minutes = _START_TIMEOUT / 60
        self._fail(f"host {self._first}: cannot connect to port {self._port} within {minutes:.0f} minutes")

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Retry until the first host's name resolves and its port is open."""
        while True:
            with contextlib.suppress(OSError):
                async with asyncio.timeout(5):
                    return await asyncio.open_connection(self._first, self._port)
            await asyncio.sleep(0.5)

    async def _send_heartbeats(self) -> None:
        while True:
            self._send("alive")
            await asyncio.sleep(_INTERVAL)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Listen on a new connection if it comes from a host of the job."""
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            name = json.loads(await self._read_line(reader))["host"]
            if name in self._hosts.names:
                self._writers[name] = writer
                await self._listen(name, reader)
        writer.close()

    async def _listen(self, name: str, reader: asyncio.StreamReader) -> None:
        """Receive a host's messages until its connection ends."""
        reason = "disconnected without a message: it was killed, or it ran out of memory"
        try:
            while line := await self._read_line(reader):
                self._receive(name, json.loads(line))
        except ConnectionError:
            pass  # the same end: its kernel resets the connection if a message of this host is unread
        except TimeoutError:
            reason = f"has sent no heartbeat for {self._timeout:.0f} seconds: the host or its network is down"
        except OSError as error:
            reason = f"is unreachable: {error.strerror}"
        if self._closing.is_set():
            return
        self._writers.pop(name).close()
        if name not in self._finished:
            self._fail(f"host {name} {reason}\nsee its log; with checkpoints, the job resumes when restarted")

    async def _read_line(self, reader: asyncio.StreamReader) -> bytes:
        async with asyncio.timeout(self._timeout):
            return await reader.readline()

    def _receive(self, name: str, message: dict[str, str]) -> None:
        event = message["event"]
        if event == "all connected":
            self.all_connected.set()
        elif event == "stop":
            self.stop_requested = True
        elif event in ("done", "failed"):
            self._finished.add(name)
        if event == "failed":
            self.failure = self.failure or message["reason"]
        if self._is_first and event in ("stop", "failed"):
            self._send(event, message["reason"])  # the other hosts are connected to the first one only

    def _fail(self, reason: str) -> None:
        self.failure = self.failure or reason
        self._send("failed", reason)

    def _send(self, event: str, reason: str = "") -> None:
        """Send an event to all connected hosts."""
        message = {"host": self._hosts.current, "event": event, "reason": reason}
        for writer in self._writers.values():
            writer.write(json.dumps(message).encode() + b"\n")

    async def _close(self) -> None:
        """Flush before closing: unread messages are lost when a connection closes early."""
        writers, self._writers = list(self._writers.values()), {}
        for writer in writers:
            with contextlib.suppress(OSError):
                async with asyncio.timeout(2):
                    await writer.drain()
                    writer.write_eof()
        await asyncio.sleep(0.5)
        for writer in writers:
            writer.close()
            with contextlib.suppress(OSError):
                async with asyncio.timeout(2):
                    await writer.wait_closed()
