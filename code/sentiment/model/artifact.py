"""Saving and loading a model directory: the only place that knows its files.

Three files, none of which can run code: ``model.safetensors`` (the weights), ``vocabulary.json`` (the
lookup table) and ``model.json`` (everything else, with checksums of the other two). It is read without
torch, so that a model can be checked before anything heavy starts.
"""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load as deserialize
from safetensors.numpy import save as serialize

from byoc.errors import ArtifactError
from byoc.files import naming
from byoc.version import version
from sentiment.settings import NetworkSettings, TextSettings
from sentiment.text.vocabulary import Vocabulary

FORMAT_VERSION = 1

WEIGHTS_FILE = "model.safetensors"
VOCABULARY_FILE = "vocabulary.json"
SETTINGS_FILE = "model.json"

_NEW, _OLD = ".model-", ".old-model-"

Weights = Mapping[str, NDArray[np.float32]]
T = TypeVar("T", NetworkSettings, TextSettings)


@dataclass(frozen=True, slots=True)
class Artifact:
    """Everything that serving needs, and a summary of the training that made it.

    Attributes:
        weights: tensors by name, float32.
        training: hyperparameters, metrics and data counts; for people, never read back.
    """

    weights: Weights
    vocabulary: Vocabulary
    network: NetworkSettings
    text: TextSettings
    training: Mapping[str, Any]


def save(artifact: Artifact, folder: Path) -> None:
    """Write a model directory so that it is there as a whole or not at all.

    Raises:
        OSError: the folder cannot be written; what was there before is unharmed.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.mkdir(exist_ok=True)
    # Beside the folder and not in it, unless the folder is a mount of its own, as on SageMaker: nothing
    # can be renamed onto a mount.
    is_mount = _is_mount(folder)
    place = folder if is_mount else folder.parent
    for prefix in (_NEW, _OLD):
        for left_over in place.glob(f"{prefix}*"):  # by a job that was killed
            shutil.rmtree(left_over)
    with naming(folder):
        _save(artifact, folder, Path(tempfile.mkdtemp(prefix=_NEW, dir=place)), is_mount)


def _is_mount(folder: Path) -> bool:
    """Also where the mount is of the file system that its parent is on, which Python does not see."""
    if os.path.ismount(folder):
        return True
    try:
        mounts = Path("/proc/self/mountinfo").read_text("utf-8").splitlines()
    except OSError:
        return False
    # The fifth column, with spaces in octal: https://www.kernel.org/doc/Documentation/filesystems/proc.txt
    return str(folder.resolve()).replace(" ", "\\040") in [line.split(" ")[4] for line in mounts]


def _save(artifact: Artifact, folder: Path, temporary: Path, is_mount: bool) -> None:
    try:
        temporary.chmod(0o755)
        _write(artifact, temporary)
        if is_mount:
            _move_files(temporary, folder)
        else:
            _replace_folder(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _write(artifact: Artifact, folder: Path) -> None:
    # Not save_file, whose files only their owner can read.
    (folder / WEIGHTS_FILE).write_bytes(serialize(dict(artifact.weights)))
    artifact.vocabulary.save(folder / VOCABULARY_FILE)
    settings = {
        "format_version": FORMAT_VERSION,
        "code_version": version(),
        "network": asdict(artifact.network),
        "text": asdict(artifact.text),
        "sha256": {name: _sha256(folder / name) for name in (WEIGHTS_FILE, VOCABULARY_FILE)},
        "training": artifact.training,
    }
    (folder / SETTINGS_FILE).write_text(json.dumps(settings, indent=2) + "\n", "utf-8")


def _replace_folder(new: Path, folder: Path) -> None:
    """Rename ``new`` to ``folder``; a non-empty old one makes way first."""
    if any(folder.iterdir()):
        old = Path(tempfile.mkdtemp(prefix=_OLD, dir=folder.parent))
        folder.rename(old)
        new.rename(folder)
        shutil.rmtree(old)
    else:
        new.rename(folder)


def _move_files(new: Path, folder: Path) -> None:
    """Move the files one by one. Without its settings file a folder is no model: it goes and comes last."""
    (folder / SETTINGS_FILE).unlink(missing_ok=True)
    for name in (WEIGHTS_FILE, VOCABULARY_FILE, SETTINGS_FILE):
        (new / name).rename(folder / name)


def load_artifact(folder: Path) -> Artifact:
    """Read a model directory, and check all of it.

    Raises:
        ArtifactError: a file is missing, damaged, of another format version, or contradicts another.
    """
    settings = _read_settings(folder / SETTINGS_FILE)
    for name in (WEIGHTS_FILE, VOCABULARY_FILE):
        _check_sum(folder / name, settings.get("sha256"))
    network = _section(folder / SETTINGS_FILE, settings, "network", NetworkSettings)
    text = _section(folder / SETTINGS_FILE, settings, "text", TextSettings)
    vocabulary = Vocabulary.load(folder / VOCABULARY_FILE)
    if len(vocabulary) != network.vocab_size:
        raise ArtifactError(
            f"{folder / VOCABULARY_FILE}: {len(vocabulary)} ids, expected {network.vocab_size}"
        )
    weights = _read_weights(folder / WEIGHTS_FILE, network)
    return Artifact(weights, vocabulary, network, text, settings.get("training", {}))


def _read_settings(path: Path) -> dict[str, Any]:
    try:
        settings = json.loads(path.read_text("utf-8"))
    except FileNotFoundError as error:
        raise ArtifactError(f"{path} is missing: there is no trained model in {path.parent}") from error
    except (OSError, ValueError) as error:
        raise ArtifactError(f"{path}: cannot be read as JSON ({error})") from error
    if not isinstance(settings, dict):
        raise ArtifactError(f"{path}: expected a JSON object")
    if settings.get("format_version") != FORMAT_VERSION:
        raise ArtifactError(
            f"{path}: format version {settings.get('format_version')}, this code reads version "
            f"{FORMAT_VERSION}; train the model again or use the image that made it"
        )
    return settings


def _section(path: Path, settings: dict[str, Any], name: str, kind: type[T]) -> T:
    content = settings.get(name)
    try:
        if not isinstance(content, dict):
            raise ValueError("expected a JSON object")
        return kind(**content)
    except (TypeError, ValueError) as error:
        raise ArtifactError(f"{path}: {name}: {error}") from error


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _check_sum(path: Path, sums: Any) -> None:
    try:
        actual = _sha256(path)
    except OSError as error:
        raise ArtifactError(f"{path} is missing or unreadable ({error.strerror})") from error
    if not isinstance(sums, dict) or sums.get(path.name) != actual:
        raise ArtifactError(f"{path} is damaged: its SHA-256 is not the one in {SETTINGS_FILE}")


def _read_weights(path: Path, network: NetworkSettings) -> Weights:
    try:
        weights = deserialize(path.read_bytes())
    except SafetensorError as error:
        raise ArtifactError(f"{path}: is no safetensors file ({error})") from error
    expected = network.tensor_shapes()
    if {name: tensor.shape for name, tensor in weights.items()} != expected:
        raise ArtifactError(f"{path}: expected the tensors {expected}")
    if any(tensor.dtype != np.float32 for tensor in weights.values()):
        raise ArtifactError(f"{path}: expected float32 tensors")
    return weights
