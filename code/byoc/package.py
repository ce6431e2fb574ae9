"""The model package that ``MODEL_PACKAGE`` names, with defaults for its optional members."""

import importlib
import os
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import cast

from byoc.errors import PackageError
from byoc.model import ModelPackage

REQUIRED = ("Hyperparameters", "train", "load")


def package_name() -> str:
    """The import name of the model package."""
    return os.environ.get("MODEL_PACKAGE") or "sentiment"


def import_package(name: str | None = None) -> ModelPackage:
    """Import a model package, by default the one that ``MODEL_PACKAGE`` names.

    Raises:
        PackageError: the package cannot be found or lacks required members; lists them.
    """
    name = name or package_name()
    try:
        module = importlib.import_module(name)
    except (ModuleNotFoundError, TypeError, ValueError) as error:
        # Another missing module is an import of the package; the last two are for names such as ".x".
        if name.strip(".") == name and not f"{name}.".startswith(f"{getattr(error, 'name', None)}."):
            raise
        raise PackageError(f"MODEL_PACKAGE: no package {name!r} on PYTHONPATH; set an import name") from None
    missing = [member for member in REQUIRED if not hasattr(module, member)]
    if missing:
        raise PackageError(f"MODEL_PACKAGE: {name!r} lacks {', '.join(missing)}; see docs/your-own-model.md")
    members = {member: getattr(module, member, default) for member, default in _DEFAULTS.items()}
    return cast(ModelPackage, SimpleNamespace(**members, **{m: getattr(module, m) for m in REQUIRED}))


def visible_files(folder: Path, _channel: str = "") -> Iterator[Path]:
    """All files of a folder that are not hidden, or one file."""
    if not folder.is_dir():
        yield folder
        return
    for path in sorted(folder.iterdir()):
        if path.name.startswith((".", "_")):
            continue
        if path.is_dir():
            yield from visible_files(path)
        else:
            yield path


_DEFAULTS = {
    "distributed": False,
    "probe": "A short text.",
    "text_fields": ("text",),
    "labels": (),
    "csv_fields": (),
    "plain_field": None,
    "metric_names": (),
    "check": lambda _path, _channel, _hyperparameters: "",
    "upload_files": visible_files,
    "check_artifact": lambda _folder: None,
}
