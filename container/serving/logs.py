"""One JSON object a line on stdout, from every program of the container."""

import json
import os
import re
import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import IO, Any

from byoc.serving import json_log

# nginx: 2026/11/24 10:00:00 [error] 7#7: *1 connect() failed
_NGINX = re.compile(r"[\d/]+ [\d:]+ \[(\w+)\] \d+#\d+: (.*)")
_LEVEL = re.compile(r'\{"time": ?"[^"]*", ?"level": ?"(\w+)"')
_NGINX_LEVELS = {"warn": "warning", "notice": "info", "info": "info", "debug": "debug"}
# The lowest status of a request that is logged.
_STATUSES = {"debug": 0, "info": 0, "warning": 400, "error": 500}
_HARMLESS = (
    # The packing of the model server's jar dropped a part of log4j, which prints this at every start.
    "sun.reflect.Reflection.getCallerClass is not supported",
    # nginx keeps the groups of its master if it lacks the capabilities to change them.
    "initgroups(root, 0) failed",
)


class Log:
    """Writes whole lines of ``level`` and above; ``source`` names the program.

    Attributes:
        observe: called with each line of the request log, written or not.
    """

    def __init__(self, level: str = "info") -> None:
        self._minimum = json_log.LEVELS.index(level)
        self._status = _STATUSES[level]
        self.observe: Callable[[Mapping[str, Any]], None] = lambda _request: None

    def write(self, level: str, message: str, source: str = "serve", **fields: Any) -> None:
        """Write one line."""
        if self._is_wanted(level):
            self._emit(json_log.line(level, message, source, time.time(), **fields))

    def relay(self, stream: IO[str], source: str, level: str) -> threading.Thread:
        """Copy the output of a program until its end: lines of this log unchanged, others wrapped in JSON."""
        thread = threading.Thread(target=self._relay, args=(stream, source, level), daemon=True)
        thread.start()
        return thread

    def _relay(self, stream: IO[str], source: str, level: str) -> None:
        with stream:
            for line in stream:
                text = line.rstrip()
                level_field = _LEVEL.match(text)
                if source == "nginx" and text.startswith("{"):
                    if self._is_wanted_request(text):
                        self._emit(text)
                elif level_field:
                    if self._is_wanted(level_field[1]):
                        self._emit(text)
                elif not text or any(line in text for line in _HARMLESS):
                    continue
                elif match := _NGINX.fullmatch(text):
                    self.write(_NGINX_LEVELS.get(match[1], "error"), match[2], source)
                else:
                    self.write(level, text, source)

    def _is_wanted_request(self, text: str) -> bool:
        """Whether to write a line of nginx: requests are filtered by their status."""
        try:
            request = json.loads(text)
        except ValueError:
            return True
        if request.get("source") != "request":
            return self._is_wanted(request.get("level", ""))
        self.observe(request)
        return bool(request["status"] >= self._status)

    def _is_wanted(self, level: str) -> bool:
        return level not in json_log.LEVELS or json_log.LEVELS.index(level) >= self._minimum

    @staticmethod
    def _emit(line: str) -> None:
        # One write, so that the lines of several threads do not mix.
        os.write(sys.stdout.fileno(), (line + "\n").encode("utf-8"))
