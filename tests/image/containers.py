"""All contact with Docker: containers that are always removed, and whose logs are read.

A container whose log holds a warning, an error or a traceback that its test did not announce fails the test.
"""

import contextlib
import http.client
import json
import re
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, Self

import pytest

# Lines that say nothing about this image. Multi Model Server 1.1.11 logs the first three at every start: its
# log4j lost a part in the packing of its jar, and the other two are no warnings. netty logs the fourth where
# there is no network.
HARMLESS = (
    r"WARNING: sun\.reflect\.Reflection\.getCallerClass is not supported",
    r"WARN WorkerLifeCycle attachIOStreams\(\)",
    r"WARN MetricCollector worker pid is not available yet",
    r"WARN MacAddressUtil Failed to find a usable hardware address",
)
SUSPICIOUS = re.compile(
    r"\b(WARN(ING)?|ERROR|CRITICAL|FATAL)\b|Warning:|Traceback"
    r"|^\s*(error|[\w.]*(Error|Exception))\b|^\s+at \w"
)


class Answer(NamedTuple):
    """What a served model answered."""

    status: int
    content_type: str | None
    body: bytes


def docker(*arguments: str) -> str:
    """Run Docker's client; returns what it printed.

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
    """The suspicious lines of a log, less the harmless ones and those that ``expect`` announces."""
    allowed = re.compile("|".join((*HARMLESS, *expect)))
    return [line for line in log.splitlines() if SUSPICIOUS.search(line) and not allowed.search(line)]


class Container:
    """A running container, removed at the end of its ``with`` block, when its log is checked too.

    Args:
        image: its name.
        command: what to run in it.
        options: further ones for ``docker run``.
        mount: a folder to see as /opt/ml.
        expect: patterns of suspicious lines that must be in the log.
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
        """What the container wrote so far, to stdout and to stderr."""
        command = ["docker", "logs", self.id]
        return subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=True
        ).stdout

    def wait(self, seconds: float = 300) -> int:
        """Wait for the container's end; returns its exit code."""
        command = ["docker", "wait", self.id]
        return int(subprocess.run(command, capture_output=True, check=True, timeout=seconds).stdout)

    def stop(self, grace: int) -> int:
        """Stop it as SageMaker does: SIGTERM, after ``grace`` seconds SIGKILL; returns its exit code."""
        docker("stop", "--time", str(grace), self.id)
        return self.wait(5)

    def execute(self, *command: str) -> str:
        """Run a command in the container; returns what it printed."""
        return docker("exec", self.id, *command)

    def wait_for(self, pattern: str, seconds: float = 120) -> None:
        """Wait until the log holds a pattern."""
        end = time.monotonic() + seconds
        while not re.search(pattern, self.log()):
            assert time.monotonic() < end, f"{pattern} did not appear in the log:\n{self.log()}"
            time.sleep(0.2)

    def request(self, path: str, body: bytes | None = None, port: int = 8080, **headers: str) -> Answer:
        """Ask the server in the container, through its published port; GET without a body, POST with one."""
        address = docker("port", self.id, f"{port}/tcp").splitlines()[0]
        host, _, published = address.rpartition(":")
        connection = http.client.HTTPConnection(host, int(published), timeout=60)
        with contextlib.closing(connection):
            names = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request("GET" if body is None else "POST", path, body, names)
            response = connection.getresponse()
            return Answer(response.status, response.headers.get("Content-Type"), response.read())

    def wait_until_it_serves(self, port: int = 8080, seconds: float = 120) -> None:
        """Wait for the first answered prediction: a ping alone does not say that the model is loaded."""
        end = time.monotonic() + seconds
        while True:
            with contextlib.suppress(OSError, http.client.HTTPException):
                if self.request("/invocations", b"good", port, Content_Type="text/plain").status == 200:
                    return
            running = docker("inspect", "--format", "{{.State.Running}}", self.id) == "true"
            if not running or time.monotonic() > end:
                pytest.fail(f"it does not serve:\n{self.log()}")
            time.sleep(0.2)


@contextlib.contextmanager
def serving(
    image: str, model: Path, *, options: Sequence[str] = (), expect: Sequence[str] = (), port: int = 8080
) -> Iterator[Container]:
    """A container that serves ``model``, read-only as SageMaker mounts it, and that answers."""
    mount = ("--volume", f"{model}:/opt/ml/model:ro", "--publish", f"127.0.0.1::{port}")
    with Container(image, "serve", options=(*mount, *options), expect=expect) as container:
        container.wait_until_it_serves(port)
        yield container


def remove_composed() -> None:
    """Remove what docker-compose left behind: the SageMaker SDK's local mode does not clean up."""
    kinds = {
        ("container", "ls", "--all"): "com.docker.compose.project",
        ("network", "ls"): "com.docker.compose.network=sagemaker-local",
    }
    for (kind, *listing), label in kinds.items():
        found = docker(kind, *listing, "--quiet", "--filter", f"label={label}").split()
        if found:
            docker(kind, "rm", *(["--force", "--volumes"] if kind == "container" else []), *found)


def composed_log(log: str) -> str:
    """The lines of containers in a log of docker-compose, without colours and names."""
    return "\n".join(re.findall(r"^\S*algo-\d\S* *\| ?(.*)$", re.sub(r"\x1b\[\d*m", "", log), re.M))


def run(image: str, *command: str, options: Sequence[str] = ()) -> str:
    """Run a command in a container to its successful end; returns what it printed."""
    with Container(image, *command, options=options) as container:
        assert container.wait() == 0, container.log()
        return container.log()


def inspect(image: str, template: str) -> str:
    """One of Docker's facts about an image, such as ``{{.Size}}``."""
    return docker("image", "inspect", "--format", template, image)


def probabilities(answer: Answer) -> list[float]:
    """The probabilities in a JSON answer."""
    if answer.status != 200:
        pytest.fail(f"the server answered {answer}")
    return [prediction["probability"] for prediction in json.loads(answer.body)]
