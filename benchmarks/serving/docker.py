"""The ``docker`` command, and the division of the machine's cores."""

import os
import re
import subprocess
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent

# As many cores as a common endpoint instance has: ml.c5.xlarge.
MAX_SERVER_CORES = 4

_UNITS = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}


class Cores(NamedTuple):
    """Cores of the server and of the load generator, in the syntax of ``--cpuset-cpus``."""

    server: str
    generator: str
    workers: int


def docker(*arguments: str) -> str:
    """Run ``docker``, and return its output.

    Raises:
        SystemExit: the command failed; its message is included.
    """
    command = ["docker", *arguments]
    environment = os.environ | {"DOCKER_BUILDKIT": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"error: docker {arguments[0]} failed: {done.stderr.strip()}")
    return done.stdout.strip()


def build(name: str, image: str) -> str:
    """Build the folder ``name`` on top of ``image``, and return the id of the new image."""
    return docker("build", "--quiet", "--build-arg", f"IMAGE={image}", str(HERE / name))


def divide_cores(cores: set[int]) -> Cores:
    """Half of the cores for the server, at most as many as on an endpoint; all other cores send requests.

    Raises:
        SystemExit: there is only one core.
    """
    if len(cores) < 2:
        raise SystemExit("error: one core is too few; expected one for the server and one for the generator")
    ordered = sorted(cores)
    workers = min(len(ordered) // 2, MAX_SERVER_CORES)
    server, generator = ordered[:workers], ordered[workers:]
    return Cores(",".join(map(str, server)), ",".join(map(str, generator)), workers)


def parse_memory(usage: str) -> int:
    """Bytes in a line of ``docker stats``: ``468MiB / 23.5GiB``.

    Raises:
        ValueError: the line has another format.
    """
    match = re.match(r"([\d.]+)([KMGT]?i?B) /", usage)
    if match is None:
        raise ValueError(f"docker stats printed {usage!r}; expected a size / a limit")
    return round(float(match[1]) * _UNITS[match[2]])
