"""The model package: the code that the image runs, and that checks hyperparameters and data here."""

import json
import sys
from collections.abc import Mapping
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click

import byoc.model
from byoc.hyperparameters import parse_hyperparameters
from byoc.package import import_package
from jobs import ROOT

DEFAULT = ROOT / "code" / "sentiment"


class ModelPackage:
    """A model package, by its folder; it is imported when it is needed first."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()

    @property
    def prefix(self) -> str:
        """The first characters of names in AWS, which have no underscores; a tuning job's name is short."""
        return self.folder.name.replace("_", "-")[:16]

    @cached_property
    def members(self) -> byoc.model.ModelPackage:
        """The imported package.

        Raises:
            click.UsageError: the folder is no package, or Python finds another module of its name.
            byoc.errors.PackageError: the package lacks members.
        """
        if str(self.folder.parent) not in sys.path:
            sys.path.insert(1, str(self.folder.parent))  # after code/
        spec = find_spec(self.folder.name)
        origin = spec.origin if spec else None  # a folder without __init__.py has none
        if origin is None or not Path(origin).parent.samefile(self.folder):
            expected = "a folder with __init__.py and a name that no other module has"
            raise click.UsageError(f"--model {self.folder}: expected {expected}; Python finds {origin}")
        return import_package(self.folder.name)

    def check_hyperparameters(self, values: Mapping[str, Any]) -> None:
        """Refuse values that a job would refuse.

        Raises:
            byoc.errors.HyperparameterError: names every unknown name and invalid value.
        """
        parse_hyperparameters(self.members.Hyperparameters, values)

    @property
    def metric_definitions(self) -> list[dict[str, str]]:
        """Names of metrics, and regular expressions that find their values in a job's log."""
        path = self.folder / "metric_definitions.json"
        definitions: list[dict[str, str]] = json.loads(path.read_text("utf-8")) if path.exists() else []
        return definitions
