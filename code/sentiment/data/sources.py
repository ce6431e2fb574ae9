"""Where each review of a corpus comes from, in few bytes: a million files of one review are common."""

from array import array
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Source(NamedTuple):
    """A file, and the line in it where the review ends; line 0 when the file is the review."""

    file: str
    line: int


class Sources:
    """A growing list of sources.

    A folder is kept once, a file's name only where it differs from the one before: 16 bytes a review,
    and for a review that is a file of its own the bytes of its name and 8 more.
    """

    def __init__(self) -> None:
        self._folders: list[str] = []
        self._index_of: dict[str, int] = {}  # of a folder in that list
        self._names = bytearray()
        self._name_ends = array("q")
        self._last_name: bytes | None = None
        self._folder_of = array("i")
        self._name_of = array("q")
        self._line_of = array("i")

    def append(self, source: Source) -> None:
        """Add one source at the end."""
        folder, separator, name = source.file.rpartition("/")
        raw = name.encode("utf-8", "surrogateescape")
        if raw != self._last_name:
            self._names += raw
            self._name_ends.append(len(self._names))
            self._last_name = raw
        folder += separator
        if folder not in self._index_of:
            self._index_of[folder] = len(self._folders)
            self._folders.append(folder)
        self._folder_of.append(self._index_of[folder])
        self._name_of.append(len(self._name_ends) - 1)
        self._line_of.append(source.line)

    def __len__(self) -> int:
        return len(self._line_of)

    def __getitem__(self, index: int) -> Source:
        name = self._name_of[index]
        start = self._name_ends[name - 1] if name else 0
        file_name = self._names[start : self._name_ends[name]].decode("utf-8", "surrogateescape")
        folder = self._folders[self._folder_of[index]]
        return Source(folder + file_name, self._line_of[index])

    def select(self, keep: NDArray[np.bool_]) -> "Sources":
        """The sources marked True, in the same order."""
        selected = Sources()
        for index in np.flatnonzero(keep).tolist():
            selected.append(self[index])
        return selected
