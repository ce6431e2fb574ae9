"""The hosts' word to each other that they are alive, and how the job goes on each of them.

The first host listens, the others connect to it: one line of JSON a message. A connection alone would not
do: when a host or its network is gone, TCP may notice it after many minutes, or never.
"""

import asyncio
import contextlib
import json
import threading
from collections.abc import Callable
from typing import Self

from byoc.errors import HostError
from byoc.opt_ml import Hosts

PORT = 7778
SILENCE = 30.0  # seconds without a word after which a host counts as lost
_BEAT = 2.0  # seconds between two words
_START = 600.0  # seconds in which all hosts have to be there


class Peers:
    """The connection of one host to the others; a context manager, which runs it in a thread.

    Args:
        hosts: all of them.
        port: of the first host.
        silence: see ``SILENCE``.

    Attributes:
        all_here: set once all hosts have spoken.
        told_to_stop: whether one of them has been told to stop.
        failure: why the job has failed on one of them; None while it has not.
    """

    def __init__(self, hosts: Hosts, port: int = PORT, silence: float = SILENCE) -> None:
        self.all_here = threading.Event()
        self.told_to_stop = False
        self.failure: str | None = None
        self._hosts = hosts
        self._port = port
        self._silence = silence
        self._writers: dict[str, asyncio.StreamWriter] = {}
        self._done: set[str] = set()
        self._started = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)

    def __enter__(self) -> Self:
        """Start to listen or to connect."""
        self._thread.start()
        self._started.wait()
        return self

    def __exit__(self, *_: object) -> None:
        """Say nothing more."""
        self._soon(self._closing.set)
        self._thread.join(timeout=10)

    def wait(self, seconds: float) -> bool:
        """Wait for the other hosts; whether all are here.

        Raises:
            HostError: the job has failed on one of them, or one does not come.
        """
        self.check()
        return self.all_here.wait(seconds)

    def check(self) -> None:
        """Find out whether the job has failed elsewhere.

        Raises:
            HostError: it has; with the reason.
        """
        if self.failure is not None:
            raise HostError(self.failure)

    def stop(self) -> None:
        """Tell the others to stop."""
        self._soon(self._say, "stop")

    def finish(self, failure: str | None = None) -> None:
        """Tell the others that the job is over here, or why it has failed here."""
        if failure is None:
            self._soon(self._say, "done")
        else:
            reason = f"host {self._hosts.current}: {failure}"
            self._soon(self._say, "failed", reason)

    def _soon(self, function: Callable[..., object], *arguments: str) -> None:
        with contextlib.suppress(RuntimeError):  # the thread is over, because it could not listen
            self._loop.call_soon_threadsafe(function, *arguments)

    @property
    def _is_first(self) -> bool:
        return self._hosts.position == 0

    @property
    def _first(self) -> str:
        return self._hosts.names[0]

    async def _run(self) -> None:
        """Everything that goes on in the thread."""
        self._loop = asyncio.get_running_loop()
        self._closing = asyncio.Event()
        server = None
        if self._is_first and len(self._hosts.names) > 1:
            try:
                # On every interface, as torch's own store does it.
                server = await asyncio.start_server(self._answer, None, self._port)
            except OSError as error:
                self.failure = f"port {self._port} cannot be listened at: {error.strerror}"
                self._started.set()
                return
        talk = asyncio.create_task(self._wait_for_all() if self._is_first else self._connect())
        beat = asyncio.create_task(self._beat())
        self._started.set()
        await self._closing.wait()
        talk.cancel()
        beat.cancel()
        await self._close()
        if server is not None:
            server.close()

    async def _wait_for_all(self) -> None:
        others = set(self._hosts.names) - {self._hosts.current}
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_START):
                while others - self._writers.keys():
                    await asyncio.sleep(0.1)
            self.all_here.set()
            self._say("all here")
            return
        missing = ", ".join(sorted(others - self._writers.keys()))
        self._fail(f"host {missing} did not come up in {_START / 60:.0f} minutes")

    async def _connect(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_START):
                streams = await self._open()
            self._writers[self._first] = streams[1]
            self._say("alive")
            await self._listen(self._first, streams[0])
            return
        self._fail(
            f"host {self._first} could not be reached at port {self._port} in {_START / 60:.0f} minutes"
        )

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Try until the first host's name is known and it is ready."""
        while True:
            with contextlib.suppress(OSError):
                async with asyncio.timeout(5):
                    return await asyncio.open_connection(self._first, self._port)
            await asyncio.sleep(0.5)

    async def _beat(self) -> None:
        while True:
            self._say("alive")
            await asyncio.sleep(_BEAT)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Listen to whoever connects, if it is one of the hosts."""
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            name = json.loads(await self._line(reader))["host"]
            if name in self._hosts.names:
                self._writers[name] = writer
                await self._listen(name, reader)
        writer.close()

    async def _listen(self, name: str, reader: asyncio.StreamReader) -> None:
        """Listen to a host until it says no more."""
        why = "has ended without a word: it was killed, or its memory ran out"
        try:
            while line := await self._line(reader):
                self._heard(name, json.loads(line))
        except ConnectionError:
            pass  # the same end: with a word of ours unread, its kernel resets the connection
        except TimeoutError:
            why = f"has not been heard of for {self._silence:.0f} seconds: it or its network is gone"
        except OSError as error:
            why = f"cannot be reached any more: {error.strerror}"
        if self._closing.is_set():
            return
        self._writers.pop(name).close()
        if name not in self._done:
            self._fail(
                f"host {name} {why}\nsee its log; a job with checkpoints goes on when it is started again"
            )

    async def _line(self, reader: asyncio.StreamReader) -> bytes:
        async with asyncio.timeout(self._silence):
            return await reader.readline()

    def _heard(self, name: str, message: dict[str, str]) -> None:
        word = message["word"]
        if word == "all here":
            self.all_here.set()
        elif word == "stop":
            self.told_to_stop = True
        elif word in ("done", "failed"):
            self._done.add(name)
        if word == "failed":
            self.failure = self.failure or message["reason"]
        if self._is_first and word in ("stop", "failed"):
            self._say(word, message["reason"])  # the others hear only the first host

    def _fail(self, reason: str) -> None:
        self.failure = self.failure or reason
        self._say("failed", reason)

    def _say(self, word: str, reason: str = "") -> None:
        """A word to every host that is connected."""
        message = {"host": self._hosts.current, "word": word, "reason": reason}
        for writer in self._writers.values():
            writer.write(json.dumps(message).encode() + b"\n")

    async def _close(self) -> None:
        """Let the last words arrive: they are lost when a connection is closed before all is read."""
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
