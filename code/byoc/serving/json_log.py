"""Logs of one JSON object per line."""

import json
import logging
import time
from collections.abc import Callable
from typing import Any

LEVELS = ("debug", "info", "warning", "error")


def line(level: str, message: str, source: str, seconds: float, **fields: Any) -> str:
    """A log line without its line end; ``seconds`` is the time since 1970 and becomes UTC."""
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{int(seconds % 1 * 1000):03}Z"
    return json.dumps({"time": stamp, "level": level, "source": source, "message": message, **fields})


class Formatter(logging.Formatter):
    """Log records as JSON lines; a traceback becomes part of the message."""

    def format(self, record: logging.LogRecord) -> str:
        """The JSON line of a record."""
        level = "error" if record.levelno >= logging.ERROR else record.levelname.lower()
        # The base class appends the traceback.
        return line(level, super().format(record), record.name, record.created)


def use(level: str, skip: Callable[[logging.LogRecord], bool] = lambda _record: False) -> None:
    """Log JSON lines of ``level`` and above from the root logger, except for records to skip."""
    root = logging.getLogger()
    root.setLevel(level.upper())
    for handler in root.handlers:
        handler.setFormatter(Formatter())
        handler.addFilter(lambda record: not skip(record))
    # Otherwise a closed stream leads to tracebacks on stderr.
    logging.raiseExceptions = False
