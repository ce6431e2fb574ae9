"""Docker containers that are always removed and whose logs are checked.

A warning, an error or a traceback in a container's log fails the test, unless the test announced it.
"""

import contextlib
import http.client
import json
import re
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Self

import pytest

# A ping during the start.
HARMLESS = (r'"source":"ping".*"status":503',)
SUSPICIOUS = re.compile(
    r"\b(WARN(ING)?|ERROR|CRITICAL|FATAL)\b|Warning:|Traceback"
    r"|^\s*(error|[\w.]*(Error|Exception))\b|^\s+at \w"
    r'|"level": ?"(warning|error)"'
)


class Answer(NamedTuple):
    """An answer of a served model."""

    status: int
    content_type: str | None
    body: bytes
    headers: Mapping[str, str] = {}


def docker(*arguments: str) -> str:
    """Run Docker's client; returns its output.

    Raises:
        AssertionError: it failed.
    """
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"docker {' '.join(arguments)}: {done.stderr}"
    return done.stdout.strip()


def engine_answers() -> bool:
    """Whether there is an engine to test with."""
    with contextlib.suppress(OSError):
        return subprocess.run(["docker", "version"], capture_output=True, check=False).returncode == 0
    return False


def unexpected(log: str, expect: Sequence[str] = ()) -> list[str]:
    """The suspicious lines of a log, except for harmless and announced (``expect``) lines."""
    allowed = re.compile("|".join((*HARMLESS, *expect)))
    return [line for line in log.splitlines() if SUSPICIOUS.search(line) and not allowed.search(line)]


class Process(NamedTuple):
    """A process of a container."""

    pid: int
    parent: int
    command: str


class Container:
    """A running container; at the end of its ``with`` block it is removed and its log is checked.

    ``options`` are additional options of ``docker run``, ``mount`` is mounted at /opt/ml, and ``expect`` has
    patterns of suspicious lines that must be in the log.
    """

    def __init__(
        self,
        image: str,
        *command: str,
        options: Sequence[str] = (),
        mount: Path | None = None,
        expect: Sequence[str] = (),
    ) -> None:
        volume = () if mount is None else ("--volume", f"{mount}:/opt/ml")
        self._expect = expect
        self._addresses: dict[int, tuple[str, int]] = {}
        self.id = docker("run", "--detach", *volume, *options, image, *command)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_rest: object) -> None:
        log = self.log()
        docker("rm", "--force", "--volumes", self.id)
        if kind is not None:
            print(log)  # pytest shows it with the failure
            return
        missing = [pattern for pattern in self._expect if not re.search(pattern, log)]
        assert not missing, f"not in the log: {missing}\n{log}"
        assert not (lines := unexpected(log, self._expect)), f"unexpected in the log: {lines}\n{log}"

    def log(self) -> str:
        """The output so far, stdout and stderr."""
        command = ["docker", "logs", self.id]
        return subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=True
        ).stdout

    def wait(self, seconds: float = 300) -> int:
        """Wait for the container's end; returns its exit code."""
        command = ["docker", "wait", self.id]
        return int(subprocess.run(command, capture_output=True, check=True, timeout=seconds).stdout)

    def start(self) -> None:
        """Start it again; Docker publishes its ports elsewhere."""
        docker("start", self.id)
        self._addresses.clear()

    def stop(self, grace: int) -> int:
        """Stop it as SageMaker does: SIGTERM, after ``grace`` seconds SIGKILL; returns its exit code."""
        docker("stop", "--time", str(grace), self.id)
        return self.wait(5)

    def execute(self, *command: str) -> str:
        """Run a command in the container; returns its output."""
        return docker("exec", self.id, *command)

    def wait_for(self, pattern: str, seconds: float = 120) -> None:
        """Wait until the log holds a pattern."""
        end = time.monotonic() + seconds
        while not re.search(pattern, self.log()):
            assert time.monotonic() < end, f"{pattern} did not appear in the log:\n{self.log()}"
            time.sleep(0.2)

    def address(self, port: int = 8080) -> tuple[str, int]:
        """Where a port of the container is published."""
        if port not in self._addresses:
            host, _, published = docker("port", self.id, f"{port}/tcp").splitlines()[0].rpartition(":")
            self._addresses[port] = host, int(published)
        return self._addresses[port]

    def request(
        self, path: str, body: bytes | None = None, port: int = 8080, method: str = "", **headers: str
    ) -> Answer:
        """Send a request to the published port: GET without a body, POST with one."""
        connection = http.client.HTTPConnection(*self.address(port), timeout=120)
        with contextlib.closing(connection):
            names = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method or ("GET" if body is None else "POST"), path, body, names)
            response = connection.getresponse()
            content_type = response.headers.get("Content-Type")
            return Answer(response.status, content_type, response.read(), dict(response.headers))

    def predict(self, text: str) -> Answer:
        """Ask for the prediction of one text."""
        return self.request("/invocations", text.encode(), Content_Type="text/plain")

    def ping(self, port: int = 8080) -> int:
        """The status of a ping; 0 when nothing listens yet, or no longer."""
        with contextlib.suppress(OSError, http.client.HTTPException):
            return self.request("/ping", port=port).status
        return 0

    def processes(self) -> list[Process]:
        """The processes of the container."""
        code = (
            "import json, psutil;"
            "print(json.dumps([(p.pid, p.ppid(), ' '.join(p.cmdline())) for p in psutil.process_iter()]))"
        )
        return [Process(*process) for process in json.loads(self.execute("python", "-c", code))]

    def process(self, pattern: str) -> Process:
        """The single process whose command contains a pattern that its parent's does not."""
        processes = self.processes()
        inside = {process.pid for process in processes if pattern in process.command}
        first = [p for p in processes if p.pid in inside and p.parent not in inside]
        assert len(first) == 1, f"{pattern}: {first}"
        return first[0]

    def workers(self) -> list[int]:
        """The ids of the model server's workers."""
        parent = self.process("model_service_worker")
        return [process.pid for process in self.processes() if process.parent == parent.pid]

    def signal(self, name: str, *pids: int) -> None:
        """Send a signal to processes of the container."""
        self.execute("bash", "-c", f"kill -{name} {' '.join(map(str, pids))}")

    def wait_until_it_serves(self, port: int = 8080, seconds: float = 120) -> None:
        """Wait until a ping is 200."""
        end = time.monotonic() + seconds
        while True:
            if self.ping(port) == 200:
                return
            running = docker("inspect", "--format", "{{.State.Running}}", self.id) == "true"
            if not running or time.monotonic() > end:
                pytest.fail(f"it does not serve:\n{self.log()}")
            time.sleep(0.2)


@contextlib.contextmanager
def serving(
    image: str, model: Path, *, options: Sequence[str] = (), expect: Sequence[str] = (), port: int = 8080
) -> Iterator[Container]:
    """A container that serves ``model`` (mounted read-only, as by SageMaker) and is healthy."""
    mount = ("--volume", f"{model}:/opt/ml/model:ro", "--publish", f"127.0.0.1::{port}")
    with Container(image, "serve", options=(*mount, *options), expect=expect) as container:
        container.wait_until_it_serves(port)
        yield container


def remove_composed() -> None:
    """Remove the containers and networks that the SageMaker SDK's local mode leaves."""
    kinds = {
        ("container", "ls", "--all"): "com.docker.compose.project",
        ("network", "ls"): "com.docker.compose.network=sagemaker-local",
    }
    for (kind, *listing), label in kinds.items():
        found = docker(kind, *listing, "--quiet", "--filter", f"label={label}").split()
        if found:
            docker(kind, "rm", *(["--force", "--volumes"] if kind == "container" else []), *found)


def composed_log(log: str) -> str:
    """The containers' lines in a log of docker-compose, without colors and names."""
    return "\n".join(re.findall(r"^\S*algo-\d\S* *\| ?(.*)$", re.sub(r"\x1b\[\d*m", "", log), re.M))


def run(image: str, *command: str, options: Sequence[str] = ()) -> str:
    """Run a command in a container to its successful end; returns its output."""
    with Container(image, *command, options=options) as container:
        assert container.wait() == 0, container.log()
        return container.log()


def inspect(image: str, template: str) -> str:
    """A property of an image by Docker's template, for example ``{{.Size}}``."""
    return docker("image", "inspect", "--format", template, image)


def probabilities(answer: Answer) -> list[float]:
    """The probabilities in a JSON answer."""
    if answer.status != 200:
        pytest.fail(f"the server answered {answer}")
    return [prediction["probability"] for prediction in json.loads(answer.body)]
