"""nginx: the program, its command, and its configuration, rendered from nginx.conf.j2."""

import os
import shutil
from pathlib import Path

import jinja2

from serving.settings import Settings

# SIGTERM to SIGKILL is 30 seconds; the rest of the program needs some of them.
DRAIN_SECONDS = 20
# To clients and to upstreams, together.
CONNECTIONS = 4096


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
        drain_seconds=DRAIN_SECONDS,
        connections=CONNECTIONS,
    )
