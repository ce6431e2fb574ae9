"""A model folder: atomic writes, the manifest, checks."""

import contextlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from byoc.artifact import MANIFEST, check_artifact, restore_copy, save_copy, write_artifact
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


def test_failed_write_keeps_the_old_model(folder: Path) -> None:
    def fill_disk(_folder: Path) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        write_artifact(folder, "toy", fill_disk)
    check_artifact(folder, "toy")
    assert len(list(folder.iterdir())) == 3


def test_folder_is_written_in_place(folder: Path) -> None:
    inode = folder.stat().st_ino
    write_artifact(folder, "toy", write("second"))
    assert folder.stat().st_ino == inode


def test_other_files_survive(folder: Path) -> None:
    (folder / "notes.txt").write_text("mine")
    (folder / "more").mkdir()
    (folder / "more" / "a.json").write_text("mine too")
    write_artifact(folder, "toy", write("second"))
    check_artifact(folder, "toy")
    assert (folder / "notes.txt").read_text() == "mine"
    assert (folder / "more" / "a.json").read_text() == "mine too"


def test_files_of_the_old_model_are_removed(folder: Path) -> None:
    write_artifact(folder, "toy", lambda new: (new / "c.bin").touch())
    assert sorted(path.name for path in folder.iterdir()) == [MANIFEST, "c.bin"]


@pytest.mark.parametrize("name", ["a.json", MANIFEST])
def test_file_of_the_same_name_survives(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("mine")
    with pytest.raises(ArtifactError, match=f"{name} was not written by this program; move it"):
        write_artifact(tmp_path, "toy", write("first"))
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "mine"


def test_manifest_cannot_name_outside_files(folder: Path) -> None:
    (folder.parent / "precious").touch()
    path = folder / MANIFEST
    path.write_text(json.dumps({"sha256": {"../precious": "", "a.json": "", "b.bin": ""}}))
    write_artifact(folder, "toy", write("second"))
    assert (folder.parent / "precious").exists()


@pytest.mark.parametrize("moved", range(1, 4))
def test_killed_write_is_no_model(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moved: int
) -> None:
    left = iter(range(moved))
    rename = Path.rename

    def rename_some(path: Path, target: Path) -> Path:
        next(left)
        return rename(path, target)

    (folder / "notes.txt").touch()
    monkeypatch.setattr(Path, "rename", rename_some)
    with contextlib.suppress(StopIteration):
        write_artifact(folder, "toy", write("second"))
        write_artifact(folder, "toy", write("third"))
    with pytest.raises(ArtifactError, match="is damaged") if moved < 3 else contextlib.nullcontext():
        check_artifact(folder, "toy")
    monkeypatch.undo()
    write_artifact(folder, "toy", write("fourth"))
    check_artifact(folder, "toy")
    assert sorted(path.name for path in folder.iterdir()) == ["a.json", MANIFEST, "b.bin", "notes.txt"]


def test_leftovers_of_killed_job_are_removed(folder: Path) -> None:
    (folder / ".model-abc").mkdir()
    (folder / ".model-abc" / "a.json").touch()
    write_artifact(folder, "toy", write("first"))
    assert not (folder / ".model-abc").exists()


@pytest.fixture
def copies(folder: Path, tmp_path: Path) -> Path:
    """A checkpoint folder with copies of a first and a second model."""
    copies = tmp_path / "checkpoints"
    copies.mkdir()
    (folder / "notes.txt").touch()
    save_copy(folder, copies)
    write_artifact(folder, "toy", write("second"))
    save_copy(folder, copies)
    return copies


def test_copy_is_restored_to_a_new_folder(copies: Path, tmp_path: Path) -> None:
    assert restore_copy(copies, tmp_path / "new", "toy")
    check_artifact(tmp_path / "new", "toy")
    assert (tmp_path / "new" / "a.json").read_text() == "second"
    assert len(list((tmp_path / "new").iterdir())) == 3


def test_only_the_newest_copy_stays(copies: Path) -> None:
    assert len(list(copies.iterdir())) == 1


def test_copy_being_uploaded_stays(copies: Path, folder: Path) -> None:
    (copy,) = copies.iterdir()
    copy.with_name(f"{copy.name}.sagemaker-uploading").touch()
    save_copy(folder, copies)
    assert copy.exists()


def test_copy_never_replaces_a_model(copies: Path, folder: Path) -> None:
    write_artifact(folder, "toy", write("third"))
    assert not restore_copy(copies, folder, "toy")
    assert (folder / "a.json").read_text() == "third"


def test_no_copy_restores_nothing(tmp_path: Path) -> None:
    assert not restore_copy(tmp_path / "nowhere", tmp_path / "model", "toy")
    assert not (tmp_path / "model").exists()


def test_copy_of_another_package_is_refused(copies: Path, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="made by package 'toy'"):
        restore_copy(copies, tmp_path / "new", "sentiment")
    assert list((tmp_path / "new").iterdir()) == []


def test_damaged_copy_is_refused(copies: Path, tmp_path: Path) -> None:
    (copy,) = copies.iterdir()
    copy.write_bytes(copy.read_bytes().replace(b"second", b"sec0nd", 1))
    with pytest.raises(ArtifactError, match="is damaged"):
        restore_copy(copies, tmp_path / "new", "toy")


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
    with pytest.raises(ArtifactError, match=r"format version 2 of version .* reads format version 1; serve"):
        check_artifact(folder, "toy")


def test_artifact_of_another_package_is_refused(folder: Path) -> None:
    with pytest.raises(ArtifactError, match="made by package 'toy', this container runs 'sentiment'"):
        check_artifact(folder, "sentiment")
