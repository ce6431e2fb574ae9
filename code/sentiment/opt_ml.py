"""SageMaker's folder, /opt/ml: what the platform puts there and what it expects to find.

Layout and files: https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo.html
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from sentiment.errors import DataError, HyperparameterError

# What the platform shows of a failure file.
_FAILURE_CHARACTERS = 1024


@dataclass(frozen=True, slots=True)
class OptMl:
    """The paths below one base folder, /opt/ml unless ``SAGEMAKER_BASE_DIR`` says otherwise."""

    base: Path

    @classmethod
    def from_environment(cls) -> Self:
        """The folder of this container, or of a local run."""
        return cls(Path(os.environ.get("SAGEMAKER_BASE_DIR") or "/opt/ml"))

    @property
    def model(self) -> Path:
        """Where the artifact goes, and where serving finds it."""
        return self.base / "model"

    @property
    def output_data(self) -> Path:
        """Where what is no model goes: metrics, predictions."""
        return self.base / "output" / "data"

    def hyperparameters(self) -> dict[str, Any]:
        """Names and values as the platform wrote them; none when there is no such file.

        Raises:
            HyperparameterError: the file is not a JSON object.
        """
        path = self.base / "input" / "config" / "hyperparameters.json"
        try:
            return _json_object(path)
        except ValueError as error:
            raise HyperparameterError(f"{path}: {error}") from error

    def channels(self) -> dict[str, Path]:
        """The data channels by name, those of ``inputdataconfig.json`` and those that are just there.

        Raises:
            DataError: a channel comes in a way that cannot be read here (Pipe mode, RecordIO, augmented
                manifest), or is announced and not there.
        """
        data = self.base / "input" / "data"
        path = self.base / "input" / "config" / "inputdataconfig.json"
        try:
            config = _json_object(path)
        except ValueError as error:
            raise DataError(f"{path}: {error}") from error
        for name, settings in config.items():
            _check_input_mode(name, settings if isinstance(settings, dict) else {})
            if not (data / name).is_dir():
                raise DataError(f"channel {name}: {data / name} is not there, though {path} lists it")
        found = sorted(entry.name for entry in data.iterdir() if entry.is_dir()) if data.is_dir() else []
        return {name: data / name for name in found}

    def write_failure(self, message: str) -> None:
        """Leave the reason of a failure where the platform looks for it: its first 1,024 characters.

        Raises:
            OSError: the file cannot be written.
        """
        path = self.base / "output" / "failure"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(message[:_FAILURE_CHARACTERS], "utf-8", errors="replace")


def _json_object(path: Path) -> dict[str, Any]:
    """The object in a JSON file, empty when there is none.

    Raises:
        ValueError: the file is not a JSON object in UTF-8.
    """
    try:
        content = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    if not isinstance(content, dict):
        raise ValueError(f"expected a JSON object, found {type(content).__name__}")
    return content


def _check_input_mode(channel: str, settings: dict[str, Any]) -> None:
    remedy = "use TrainingInputMode File or FastFile with S3DataType S3Prefix instead"
    if settings.get("TrainingInputMode") == "Pipe":
        raise DataError(f"channel {channel}: Pipe mode cannot be read; {remedy}")
    if settings.get("RecordWrapperType") == "RecordIO":
        raise DataError(f"channel {channel}: records wrapped in RecordIO cannot be read; {remedy}")
    if settings.get("S3DataType") == "AugmentedManifestFile" or "AttributeNames" in settings:
        raise DataError(f"channel {channel}: an augmented manifest cannot be read; {remedy}")
