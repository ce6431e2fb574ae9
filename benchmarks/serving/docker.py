"""Docker's command, and how the machine's cores are shared out."""

import os
import re
import subprocess
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent

# As many cores as a usual endpoint instance has: ml.c5.xlarge.
MOST_SERVER_CORES = 4

_UNITS = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}


class Cores(NamedTuple):
    """Cores for the server, and others for the generator, as ``--cpuset-cpus`` takes them."""

    server: str
    generator: str
    workers: int


def docker(*arguments: str) -> str:
    """What Docker's command printed.

    Raises:
        SystemExit: it failed; its own message is part of this one.
    """
    command = ["docker", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"error: docker {arguments[0]} failed: {done.stderr.strip()}")
    return done.stdout.strip()


def build(name: str, image: str) -> str:
    """Build the folder ``name`` on top of ``image``; returns the id of what was built."""
    command = ["docker", "build", "--quiet", "--build-arg", f"IMAGE={image}", str(HERE / name)]
    environment = os.environ | {"DOCKER_BUILDKIT": "1"}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"error: {HERE / name} cannot be built; Docker's messages are above")
    return done.stdout.strip()


def share_out(cores: set[int]) -> Cores:
    """Half of the cores for the server, but no more than it would have on an endpoint; the rest sends.

    Raises:
        SystemExit: there is only one.
    """
    if len(cores) < 2:
        raise SystemExit("error: one core is too few, expected one for the server and one for the generator")
    ordered = sorted(cores)
    workers = min(len(ordered) // 2, MOST_SERVER_CORES)
    server, generator = ordered[:workers], ordered[workers:]
    return Cores(",".join(map(str, server)), ",".join(map(str, generator)), workers)


def parse_memory(usage: str) -> int:
    """Bytes from what ``docker stats`` says of memory: ``468MiB / 23.5GiB``, maybe after a terminal's codes.

    Raises:
        ValueError: it says something else.
    """
    match = re.search(r"(?:^|\x1b\[H)([\d.]+)([KMGT]?i?B) /", usage)
    if match is None:
        raise ValueError(f"docker stats says {usage!r} of the memory, expected a size / a limit")
    return round(float(match[1]) * _UNITS[match[2]])
