"""Atomic writes and checksums in file names."""

import errno
from pathlib import Path

import pytest

from byoc.files import atomic_write, name_in_errors


def test_write_replaces_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with atomic_write(path) as stream:
        stream.write(b"new")
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"


def test_failed_write_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with pytest.raises(TypeError), atomic_write(path) as stream:
        stream.write("no bytes")  # type: ignore[call-overload]
    assert [(entry.name, entry.read_bytes()) for entry in tmp_path.iterdir()] == [("file", b"old")]


def test_full_disk_error_has_path(tmp_path: Path) -> None:
    # The device that is always full.
    with pytest.raises(OSError, match="No space left") as caught, atomic_write(tmp_path / "file"):
        Path("/dev/full").write_bytes(b"x")
    assert caught.value.filename == str(tmp_path / "file")
    assert caught.value.errno == errno.ENOSPC


def test_path_of_the_system_is_kept(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught, name_in_errors(Path("other")):
        (tmp_path / "missing").read_bytes()
    assert caught.value.filename == str(tmp_path / "missing")
