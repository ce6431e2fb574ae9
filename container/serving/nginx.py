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


def find() -> str | None:
    """Path of the nginx program, or None; Debian installs it where only root's PATH looks."""
    return shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")


def command(program: str, folder: Path) -> list[str]:
    """The command that runs nginx with the configuration in ``folder``."""
    return [program, "-e", "stderr", "-p", str(folder), "-c", str(folder / "nginx.conf")]


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
