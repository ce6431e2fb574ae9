"""Files of a channel as streams of bytes: folders, archives and compressed files.

An archive counts as a folder. Nothing is unpacked to disk, except a file that must be seekable: parquet, or a
zip file inside another archive.
"""

import bz2
import contextlib
import errno
import gzip
import io
import lzma
import math
import shutil
import struct
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from byoc.errors import DataError
from byoc.package import visible_files

# A compressed file may expand to this multiple of its size or to this number of bytes, whichever is more.
MAX_RATIO = 20
MAX_EXPANDED = 10**9

_ARCHIVE_SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2")
_GZIP, _BZIP2 = (".gz", ".tgz"), (".bz2", ".tbz2")
# Exceptions of the standard library for damaged archives; those of the second line come from their parsers.
_DAMAGE = (
    EOFError, OSError, zlib.error, lzma.LZMAError, tarfile.TarError, zipfile.BadZipFile, struct.error,
    NotImplementedError, RuntimeError, ValueError, IndexError, KeyError, OverflowError,
)  # fmt: skip


class File(NamedTuple):
    """A file of a channel; a member of a tar archive can be opened only before the next file is taken."""

    path: PurePosixPath  # below the channel; an archive is one of the folders
    name: str  # for messages: the path on disk, and after ":" the path in the archive
    size: int  # bytes, compressed
    open_raw: Callable[[], Any]

    @property
    def is_compressed(self) -> bool:
        """Whether the file is compressed by itself."""
        return self.path.suffix.lower() in (*_GZIP, *_BZIP2)

    def open(self) -> "Stream":
        """Open the decompressed content.

        Raises:
            DataError: the file is damaged, encrypted or expands too much.
        """
        with describe_damage(self.name):
            raw = self.open_raw()
        if not self.is_compressed:
            return Stream([raw], self.name)
        is_gzip = self.path.suffix.lower() in _GZIP
        content = gzip.GzipFile(fileobj=raw) if is_gzip else bz2.BZ2File(raw)
        return Stream([content, raw], self.name, self.size)

    @contextlib.contextmanager
    def open_seekable(self) -> Iterator[Any]:
        """Open the decompressed content as a seekable stream, in a temporary file if necessary."""
        with self.open() as stream:
            if type(stream.content) is io.BufferedReader:  # a file on disk
                yield stream.content
                return
            with tempfile.TemporaryFile() as copy:
                shutil.copyfileobj(stream, copy)
                copy.seek(0)
                yield copy


class Stream(io.BufferedIOBase):
    """Bytes of a file; counts them and names the file in errors."""

    def __init__(self, layers: Sequence[Any], name: str, compressed_size: float = math.inf) -> None:
        self._layers = layers
        self.content = layers[0]
        self.count = 0  # bytes read
        self._head = b""
        self._name = name
        self._compressed_size = compressed_size

    def readable(self) -> bool:
        """Whether the stream can be read: always."""
        return True

    def peek(self, size: int) -> bytes:
        """The first bytes, which ``read`` returns again; called before it."""
        with describe_damage(self._name):
            self._head = self.content.read(size)
        return self._head

    def read(self, size: int | None = -1) -> bytes:
        """Read up to ``size`` bytes.

        Raises:
            DataError: the file is damaged or expands too much.
        """
        content, self._head = self._head, b""
        if not content or size is None or size < 0:
            with describe_damage(self._name):
                content += self.content.read(-1 if size is None else size)
        self.count += len(content)
        _check_expansion(self._name, self._compressed_size, self.count)
        return content

    read1 = read

    def close(self) -> None:
        """Close the file."""
        for layer in self._layers:
            layer.close()
        super().close()


@contextlib.contextmanager
def describe_damage(name: str) -> Iterator[None]:
    """Turn the exceptions of decompressors into DataError; errors of the disk stay as they are."""
    try:
        yield
    except _DAMAGE as error:
        # Damaged positions in a zip file are invalid arguments of a seek.
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
            raise
        raise DataError(f"{name}: the file is damaged or truncated ({error}); upload it again") from error


def _check_expansion(name: str, size: float, expanded: int) -> None:
    if expanded > max(MAX_RATIO * size, MAX_EXPANDED):
        raise DataError(
            f"{name}: expands to {expanded} bytes or more, over {MAX_RATIO} times its size; "
            "unpack it and upload its content"
        )


def is_junk(name: str) -> bool:
    """Whether a file or folder of this name comes from an operating system or a tool, not from the user."""
    return name.startswith((".", "_")) or name.lower() in {"thumbs.db", "desktop.ini"}


def list_files(root: Path) -> Iterator[Path]:
    """Files on disk in the order of their paths, without junk."""
    return (path for path in visible_files(root) if path == root or not is_junk(path.name))


def walk(root: Path) -> Iterator[File]:
    """Files of a folder, or one file, without junk; members of an archive in its order.

    Raises:
        DataError: an archive is damaged, expands too much or has a path outside its folder.
    """
    for path in list_files(root):
        relative = path.relative_to(root) if path != root else Path(path.name)
        size = path.stat().st_size if path.is_file() else 1  # a pipe has no size, but is not empty
        name = PurePosixPath(_printable(relative))
        yield from _expand(File(name, _printable(path), size, partial(path.open, "rb")))


def _printable(path: object) -> str:
    """The path, with escapes for the bytes of a name that is not UTF-8, which no result file could hold."""
    return str(path).encode("utf-8", "backslashreplace").decode()


def _expand(file: File) -> Iterator[File]:
    """The file, or the files of an archive."""
    file_name = file.path.name.lower()
    if not file_name.endswith(_ARCHIVE_SUFFIXES) or file.size == 0:
        yield file
        return
    iterate = _iterate_zip if file_name.endswith(".zip") else _iterate_tar
    for name, size, open_member in iterate(file):
        path = PurePosixPath(_printable(name.replace("\\", "/")))
        if path.is_absolute() or ".." in path.parts or ":" in "".join(path.parts[:1]):
            raise DataError(f"{file.name}: {name} is outside the archive; pack it again with relative paths")
        if not any(is_junk(part) for part in path.parts):
            yield from _expand(File(file.path / path, f"{file.name}:{path}", size, open_member))


_Member = tuple[str, int, Callable[[], Any]]


def _iterate_zip(file: File) -> Iterator[_Member]:
    with file.open_seekable() as stream, describe_damage(file.name), zipfile.ZipFile(stream) as archive:
        members = [member for member in archive.infolist() if not member.is_dir()]
        expanded = sum(member.file_size for member in members)  # zipfile reads no more
        _check_expansion(file.name, file.size, expanded)
        for member in members:
            yield member.filename, member.file_size, partial(archive.open, member)


def _iterate_tar(file: File) -> Iterator[_Member]:
    # Decompressed here, because tarfile's "r|gz" takes a truncated file for the end of the archive.
    with file.open() as stream, describe_damage(file.name), tarfile.open(fileobj=stream, mode="r|") as tar:
        for member in tar:
            if member.isfile():
                yield member.name, member.size, partial(tar.extractfile, member)
