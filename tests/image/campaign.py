"""A container under fuzz: its answers, health, log and memory."""

import contextlib
import json
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from tests.image import fuzz
from tests.image.containers import Container, unexpected
from tests.image.raw_http import End, Exchange, HangError, request, send

REVIEW = "A film that I will not forget, for all the wrong reasons."
MIB = 2**20

# Allowed growth of a program after the warm-up in MiB, summed over its processes: memory that an allocator
# keeps after the largest requests, which come in any order. Java's heap has its own limit.
GROWTH = {"nginx": 8, "python3": 64, "java": 192}

PING = Exchange("ping", [request("GET", "/ping", headers=(), body=b"")], End.WAIT, [{200}])
PING_SECONDS = 2
SLOW_CLIENTS = 100

# A request beyond the limit is no fault.
BUSY = r'"source":"request".*"status":503'


@dataclass
class Result:
    """The result; ``memory`` is in MiB, by program, before and after."""

    report: fuzz.Report
    seconds: float
    pings: int
    memory: dict[str, tuple[int, int]]


def fuzz_container(container: Container, count: int, seed: int) -> Result:
    """Send ``count`` exchanges to a serving container; the result's report has the faults."""
    address, watch = container.address(), Watch()
    warm_up(address, seed)
    before, expected = memory(container), container.predict(REVIEW).body
    start = time.monotonic()
    with in_the_background(lambda: watch.ping(address)), slow_clients(address, SLOW_CLIENTS):
        report = fuzz.run(address, count, seed)
    seconds = time.monotonic() - start
    after = memory(container)
    growth = {name: (before.get(name, 0), after[name]) for name in after}
    for seen in watch.faults:
        report.fault("a ping", seen)
    answer = container.predict(REVIEW)
    if answer.status != 200 or answer.body != expected:
        report.fault("another prediction than before", f"{answer}, expected {expected!r}")
    for name, (first, last) in growth.items():
        if last - first > GROWTH.get(name, 0):
            report.fault(f"{name} has grown", f"from {first} to {last} MiB")
    for line in log_faults(container.log()):
        report.fault(f"a line of the log: {re.sub('[0-9]+', 'N', line)[:150]}", line)
    return Result(report, seconds, watch.pings, growth)


def warm_up(address: tuple[str, int], seed: int) -> None:
    """Send each worker the largest request of the fuzzer, so that later ones do not make it grow."""
    texts = json.dumps([f"{'good film ' * 25}{i}" for i in range(10_000)]).encode()
    heaviest = request(headers=[(b"Content-Type", b"application/json")], body=texts)
    exchange = Exchange("warm-up", [heaviest], End.WAIT, [{200}])
    with ThreadPoolExecutor(fuzz.PROCESSES) as clients:
        for answers in clients.map(lambda _: send(address, exchange, 300), range(2 * fuzz.PROCESSES)):
            assert [answer.status for answer in answers] == [200], answers
    fuzz.run(address, 400, seed + 1)


def memory(container: Container) -> dict[str, int]:
    """Resident memory of a container's programs in MiB, summed over the processes of each."""
    code = """if True:
        import json, os, psutil
        others = [process for process in psutil.process_iter() if process.pid != os.getpid()]
        print(json.dumps([(process.name(), process.memory_info().rss) for process in others]))
    """
    sizes: dict[str, int] = {}
    for name, size in json.loads(container.execute("python", "-c", code)):
        sizes[name] = sizes.get(name, 0) + size
    return {name: size // MIB for name, size in sizes.items()}


def log_faults(log: str) -> list[str]:
    """The lines of a log that report a fault or are not JSON."""
    return [line for line in log.splitlines() if not _is_json(line) or unexpected(line, [BUSY])]


def _is_json(line: str) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False


@contextlib.contextmanager
def in_the_background(action: Callable[[], None]) -> Iterator[None]:
    """Do something twice a second while the block runs."""
    stop = threading.Event()

    def run() -> None:
        while not stop.wait(0.5):
            action()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


class Watch:
    """Counts pings, and keeps the failed and late pings."""

    def __init__(self) -> None:
        self.pings = 0
        self.faults: list[str] = []

    def ping(self, address: tuple[str, int]) -> None:
        """Ping once."""
        start = time.monotonic()
        try:
            answers = send(address, PING, fuzz.SECONDS)
        except (OSError, HangError) as error:
            self.faults.append(f"{type(error).__name__}: {error}")
            return
        seconds = time.monotonic() - start
        self.pings += 1
        if [answer.status for answer in answers] != [200] or seconds > PING_SECONDS:
            self.faults.append(f"{seconds:.1f} s: {answers}")


@contextlib.contextmanager
def slow_clients(address: tuple[str, int], count: int) -> Iterator[None]:
    """Clients that never finish, one byte at a time, half of them in the head and half in the body."""
    beginnings = (b"POST /invocations HTTP/1.1\r\nX-Slow: ", request(body=b"x" * 10_000)[:-10_000])
    clients: dict[int, socket.socket] = {}

    def step() -> None:
        for i in range(count):
            try:
                if i not in clients:
                    clients[i] = socket.create_connection(address, fuzz.SECONDS)
                    clients[i].sendall(beginnings[i % 2])
                clients[i].sendall(b"x")
            except OSError:
                # The server has closed the connection: start again.
                if i in clients:
                    clients.pop(i).close()

    try:
        with in_the_background(step):
            yield
    finally:
        for client in clients.values():
            client.close()
