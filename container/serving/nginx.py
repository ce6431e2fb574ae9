"""nginx: the program, its command, and its configuration, rendered from nginx.conf.j2."""

import contextlib
import http.client
import os
import shutil
import socket
from pathlib import Path

import jinja2

from serving.settings import SMALL_DIGITS, Settings

# SIGTERM to SIGKILL is 30 seconds; the rest of the program needs some of them.
DRAIN_SECONDS = 20
# To clients and to upstreams, together.
CONNECTIONS = 4096
# Bits of the capabilities with which nginx changes the user of its processes and the owner of their folders,
# and root's workers read that user's files: CHOWN, DAC_OVERRIDE, SETGID and SETUID of linux/capability.h.
USER_CAPABILITIES = 1 << 0 | 1 << 1 | 1 << 6 | 1 << 7
# A header for pings of the supervisor, which are not logged.
SUPERVISOR = "X-Supervisor"


def find() -> str:
    """Path of the nginx binary; Debian installs it in a folder that only root has on its PATH.

    Raises:
        FileNotFoundError: nginx is not installed.
    """
    binary = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if binary is None:
        raise FileNotFoundError(
            "nginx is not installed; install it with: sudo apt-get install -y nginx "
            "(Fedora, Amazon Linux: sudo dnf install -y nginx)"
        )
    return binary


def command(binary: str, folder: Path) -> list[str]:
    """The command that runs nginx with the configuration in ``folder``."""
    return [binary, "-e", "stderr", "-p", str(folder), "-c", str(folder / "nginx.conf")]


def configuration(settings: Settings, folder: Path) -> str:
    """Content of ``nginx.conf``."""
    template: jinja2.Template = jinja2.Template(
        Path(__file__).with_name("nginx.conf.j2").read_text("utf-8"),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=jinja2.StrictUndefined,
    )
    return template.render(
        vars(settings),
        folder=folder,
        is_root=os.geteuid() == 0,
        switches_user=can_switch_user(),
        has_ipv6=has_ipv6(),
        small_digits=SMALL_DIGITS,
        drain_seconds=DRAIN_SECONDS,
        connections=CONNECTIONS,
    )


def can_switch_user(status: Path = Path("/proc/self/status")) -> bool:
    """Whether nginx may run its processes as another user; root may lack the capabilities for it."""
    lines = dict(line.split(":", 1) for line in status.read_text("utf-8").splitlines())
    return int(lines["CapEff"], 16) & USER_CAPABILITIES == USER_CAPABILITIES


def has_ipv6() -> bool:
    """Whether the kernel lets a program listen on IPv6."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET6) as probe:
        probe.bind(("::", 0))
        return True
    return False


def is_up(port: int) -> bool:
    """Whether a ping through the public port is answered within 2 seconds, with any status."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    with contextlib.suppress(OSError, http.client.HTTPException), contextlib.closing(connection):
        connection.request("GET", "/ping", headers={SUPERVISOR: "1"})
        connection.getresponse().read()
        return True
    return False
