"""Model folders: the files of a model package, and ``artifact.json``.

The manifest records the package, the version of the code and the SHA-256 of each file. It is written last,
because a folder without it is no model. This module works without torch, for a quick check before serving.
"""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from byoc.errors import ArtifactError
from byoc.files import name_in_errors
from byoc.version import version

FORMAT_VERSION = 1
MANIFEST = "artifact.json"  # not manifest.json, which Multi Model Server takes for its own

_NEW, _OLD = ".model-", ".old-model-"


def write_artifact(folder: Path, package: str, write: Callable[[Path], None]) -> None:
    """Replace a model folder; the old model survives until the new files are complete.

    ``write`` gets an empty folder for the package's files, without subfolders.

    Raises:
        OSError: the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    # On SageMaker the folder is a mount, onto which nothing can be renamed: the files are moved into it.
    is_mount = _is_mount(folder)
    place = folder if is_mount else folder.parent
    for prefix in (_NEW, _OLD):
        for leftover in place.glob(f"{prefix}*"):  # from a killed job
            shutil.rmtree(leftover)
    with name_in_errors(folder):
        temporary = Path(tempfile.mkdtemp(prefix=_NEW, dir=place))
        try:
            temporary.chmod(0o755)
            write(temporary)
            _write_manifest(temporary, package)
            if is_mount:
                _move_files(temporary, folder)
            else:
                _replace_folder(temporary, folder)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def _is_mount(folder: Path) -> bool:
    """Whether the folder is a mount point; os.path misses bind mounts of the same file system."""
    if os.path.ismount(folder):
        return True
    try:
        mounts = Path("/proc/self/mountinfo").read_text("utf-8").splitlines()
    except OSError:
        return False
    # The fifth column, with spaces in octal: https://www.kernel.org/doc/Documentation/filesystems/proc.txt
    return str(folder.resolve()).replace(" ", "\\040") in [line.split(" ")[4] for line in mounts]


def _write_manifest(folder: Path, package: str) -> None:
    manifest = {
        "format_version": FORMAT_VERSION,
        "package": package,
        "code_version": version(),
        "sha256": {path.name: _sha256(path) for path in sorted(folder.iterdir())},
    }
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", "utf-8")


def _replace_folder(new: Path, folder: Path) -> None:
    if any(folder.iterdir()):
        old = Path(tempfile.mkdtemp(prefix=_OLD, dir=folder.parent))
        folder.rename(old)
        new.rename(folder)
        shutil.rmtree(old)
    else:
        new.rename(folder)


def _move_files(new: Path, folder: Path) -> None:
    (folder / MANIFEST).unlink(missing_ok=True)
    for path in sorted(new.iterdir(), key=lambda path: path.name == MANIFEST):
        path.rename(folder / path.name)


def check_artifact(folder: Path, package: str) -> None:
    """Check that the folder holds a complete, undamaged model of the package.

    Raises:
        ArtifactError: a file is missing or damaged, or the manifest names another format or package.
    """
    path = folder / MANIFEST
    manifest = read_json_object(path)
    if manifest.get("format_version") != FORMAT_VERSION:
        raise ArtifactError(
            f"{path}: format version {manifest.get('format_version')}, this code reads version "
            f"{FORMAT_VERSION}; train the model again or use the image that made it"
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
