"""A model folder: atomic writes, the manifest, checks."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from byoc.artifact import MANIFEST, check_artifact, write_artifact
from byoc.errors import ArtifactError
from byoc.version import version


def write(text: str) -> Callable[[Path], None]:
    def write_files(folder: Path) -> None:
        (folder / "a.json").write_text(text)
        (folder / "b.bin").write_bytes(text.encode())

    return write_files


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_artifact(tmp_path / "model", "toy", write("first"))
    return tmp_path / "model"


def test_written_folder_passes_the_check(folder: Path) -> None:
    check_artifact(folder, "toy")
    assert sorted(path.name for path in folder.iterdir()) == ["a.json", MANIFEST, "b.bin"]


def test_manifest_records_package_and_version(folder: Path) -> None:
    manifest = json.loads((folder / MANIFEST).read_text())
    assert (manifest["package"], manifest["code_version"]) == ("toy", version())


def test_everybody_can_read_the_files(folder: Path) -> None:
    assert folder.stat().st_mode & 0o777 == 0o755
    assert all(path.stat().st_mode & 0o777 == 0o644 for path in folder.iterdir())


def test_second_write_replaces_the_first(folder: Path) -> None:
    write_artifact(folder, "toy", write("second"))
    assert (folder / "a.json").read_text() == "second"
    assert [path.name for path in folder.parent.iterdir()] == ["model"]


@pytest.mark.parametrize("is_mount", [False, True])
def test_failed_write_keeps_the_old_model(
    folder: Path, monkeypatch: pytest.MonkeyPatch, is_mount: bool
) -> None:
    def fill_disk(_folder: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os.path, "ismount", lambda _path: is_mount)
    with pytest.raises(OSError, match="No space left"):
        write_artifact(folder, "toy", fill_disk)
    check_artifact(folder, "toy")
    assert len(list(folder.iterdir())) == 3


def test_mount_is_written_in_place(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os.path, "ismount", lambda _path: True)
    inode = folder.stat().st_ino
    write_artifact(folder, "toy", write("second"))
    assert (folder.stat().st_ino, (folder / "a.json").read_text()) == (inode, "second")
    assert len(list(folder.iterdir())) == 3


def test_leftovers_of_killed_job_are_removed(tmp_path: Path) -> None:
    for name in (".model-abc", ".old-model-abc"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.json").touch()
    write_artifact(tmp_path / "model", "toy", write("first"))
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def flip_last_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("name", ["a.json", "b.bin"])
@pytest.mark.parametrize("damage", [Path.unlink, flip_last_bit, lambda path: path.write_bytes(b"")])
def test_damaged_file_is_named(folder: Path, name: str, damage: Callable[[Path], object]) -> None:
    damage(folder / name)
    with pytest.raises(ArtifactError, match=name):
        check_artifact(folder, "toy")


def test_folder_without_manifest_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"there is no trained model in .*/nowhere"):
        check_artifact(tmp_path / "nowhere", "toy")


@pytest.mark.parametrize("content", ["", "[]", "{"])
def test_malformed_manifest_is_refused(folder: Path, content: str) -> None:
    (folder / MANIFEST).write_text(content)
    with pytest.raises(ArtifactError, match=MANIFEST):
        check_artifact(folder, "toy")


def test_other_format_is_refused(folder: Path) -> None:
    path = folder / MANIFEST
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format_version": 2}))
    with pytest.raises(ArtifactError, match="format version 2, this code reads version 1"):
        check_artifact(folder, "toy")


def test_artifact_of_another_package_is_refused(folder: Path) -> None:
    with pytest.raises(ArtifactError, match="made by package 'toy', this container runs 'sentiment'"):
        check_artifact(folder, "sentiment")
