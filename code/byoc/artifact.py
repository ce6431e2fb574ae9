"""Model folders: the files of a model package, and ``artifact.json``.

The manifest records the package, the version of the code and the SHA-256 of each file. Only the files that it
lists belong to this program: others in the folder are never removed or replaced. This module works without
torch, for a quick check before serving.
"""

import contextlib
import hashlib
import json
import shutil
import tarfile
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from byoc.errors import ArtifactError
from byoc.files import atomic_write, is_being_uploaded, name_in_errors
from byoc.version import version

FORMAT_VERSION = 1
MANIFEST = "artifact.json"  # not manifest.json, which Multi Model Server takes for its own

_NEW = ".model-"
_COPY = "model-{}.tar"


def write_artifact(folder: Path, package: str, write: Callable[[Path], None]) -> None:
    """Replace the model in a folder; the old one survives until the new files are complete.

    ``write`` gets an empty folder for the package's files, without subfolders. The files are then moved one
    by one, because on SageMaker the folder is a mount, onto which nothing can be renamed. A kill meanwhile
    leaves a model that ``check_artifact`` refuses.

    Raises:
        ArtifactError: a file of the same name is not this program's.
        OSError: the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for leftover in folder.glob(f"{_NEW}*"):  # from a killed job
        shutil.rmtree(leftover)
    with name_in_errors(folder):
        temporary = Path(tempfile.mkdtemp(prefix=_NEW, dir=folder))
        try:
            write(temporary)
            _write_manifest(temporary, package)
            _move_files(temporary, folder)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def _move_files(new: Path, folder: Path) -> None:
    """Move the files, the manifest first, so that a later job knows its files even after a kill."""
    names = {path.name for path in new.iterdir()}
    old = _listed_files(folder)
    for name in sorted(names - old):
        if (folder / name).exists():
            raise ArtifactError(f"{folder / name} was not written by this program; move it to another folder")
    for name in old - names:
        (folder / name).unlink(missing_ok=True)
    for name in sorted(names, key=lambda name: (name != MANIFEST, name)):
        (new / name).rename(folder / name)


def _listed_files(folder: Path) -> set[str]:
    """Names of the manifest and of the files that it lists; empty without a manifest of this program."""
    with contextlib.suppress(ArtifactError):
        sums = read_json_object(folder / MANIFEST).get("sha256")
        if isinstance(sums, dict):
            return {MANIFEST, *(name for name in sums if "/" not in name)}
    return set()


def _write_manifest(folder: Path, package: str) -> None:
    manifest = {
        "format_version": FORMAT_VERSION,
        "package": package,
        "code_version": version(),
        "sha256": {path.name: _sha256(path) for path in sorted(folder.iterdir())},
    }
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", "utf-8")


def save_copy(folder: Path, copies: Path) -> None:
    """Keep the model also in the checkpoint folder, in place of an earlier copy, for ``restore_copy``."""
    path = copies / _COPY.format(f"{time.time_ns():020}")
    with atomic_write(path) as stream, tarfile.open(fileobj=stream, mode="w") as archive:
        for name in sorted(_listed_files(folder)):
            archive.add(folder / name, name)
    for old in copies.glob(_COPY.format("*")):
        if old != path and not is_being_uploaded(old):
            old.unlink(missing_ok=True)


def restore_copy(copies: Path, folder: Path, package: str) -> bool:
    """Write the newest copy into an empty model folder; returns whether there was one.

    A job that is stopped before its first epoch still delivers the model of an earlier instance this way.

    Raises:
        ArtifactError: the copy is damaged or was made by another package.
    """
    copy = max(copies.glob(_COPY.format("*")), default=None)
    if copy is None or (folder / MANIFEST).exists():
        return False

    def extract(new: Path) -> None:
        try:
            with tarfile.open(copy, "r:") as archive:
                archive.extractall(new, filter="data")
        except tarfile.TarError as error:
            raise ArtifactError(f"{copy} is damaged ({error})") from error
        check_artifact(new, package)
        (new / MANIFEST).unlink()

    write_artifact(folder, package, extract)
    return True


def check_artifact(folder: Path, package: str) -> None:
    """Check that the folder holds a complete, undamaged model of the package.

    Raises:
        ArtifactError: a file is missing or damaged, or the manifest names another format or package.
    """
    path = folder / MANIFEST
    manifest = read_json_object(path)
    if manifest.get("format_version") != FORMAT_VERSION:
        raise ArtifactError(
            f"{path}: format version {manifest.get('format_version')} of version "
            f"{manifest.get('code_version')}, this image has version {version()} and reads format version "
            f"{FORMAT_VERSION}; serve the model with the image that made it, or train it again"
        )
    if manifest.get("package") != package:
        raise ArtifactError(
            f"{path}: the model was made by package {manifest.get('package')!r}, this container runs "
            f"{package!r}; set MODEL_PACKAGE, or use the image that made it"
        )
    sums = manifest.get("sha256")
    if not isinstance(sums, dict):
        raise ArtifactError(f'{path}: expected "sha256" to be an object')
    for name, expected in sums.items():
        try:
            actual = _sha256(folder / name)
        except OSError as error:
            raise ArtifactError(f"{folder / name} is missing or unreadable ({error.strerror})") from error
        if actual != expected:
            raise ArtifactError(f"{folder / name} is damaged: its SHA-256 differs from {MANIFEST}")


def read_json_object(path: Path) -> dict[str, Any]:
    """The JSON object in a file of a model folder.

    Raises:
        ArtifactError: the file is missing or holds something different.
    """
    try:
        content = json.loads(path.read_text("utf-8"))
    except FileNotFoundError as error:
        raise ArtifactError(f"{path} is missing: there is no trained model in {path.parent}") from error
    except (OSError, ValueError) as error:
        raise ArtifactError(f"{path}: cannot be read as JSON ({error})") from error
    if not isinstance(content, dict):
        raise ArtifactError(f"{path}: expected a JSON object")
    return content


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
