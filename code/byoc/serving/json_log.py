"""A log of one JSON object a line, for programs that run in a container."""

import json
import logging
import time
from collections.abc import Callable
from typing import Any

LEVELS = ("debug", "info", "warning", "error")


def line(level: str, message: str, source: str, seconds: float, **fields: Any) -> str:
    """A line without its end; ``seconds`` is the time, since 1970, and is written in UTC."""
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{int(seconds % 1 * 1000):03}Z"
    return json.dumps({"time": stamp, "level": level, "source": source, "message": message, **fields})


class Formatter(logging.Formatter):
    """Records of the standard library's logging as such lines; a traceback becomes part of the message."""

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        level = "error" if record.levelno >= logging.ERROR else record.levelname.lower()
        # What the base class makes has the traceback in it.
        return line(level, super().format(record), record.name, record.created)


def use(level: str, leave_out: Callable[[logging.LogRecord], bool] = lambda _record: False) -> None:
    """Make the root logger's handlers write such lines, of ``level`` and above, less what is left out."""
    root = logging.getLogger()
    root.setLevel(level.upper())
    for handler in root.handlers:
        handler.setFormatter(Formatter())
        handler.addFilter(lambda record: not leave_out(record))
    # A stream whose reader is gone is no reason for a traceback on another.
    logging.raiseExceptions = False
