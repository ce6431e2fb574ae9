"""SageMaker's folder, /opt/ml: what the platform puts there and what it expects to find.

Layout and files: https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo.html
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Self

from byoc.errors import DataError, HostError, HyperparameterError

# What the platform shows of a failure file.
_FAILURE_CHARACTERS = 1024


class Hosts(NamedTuple):
    """The hosts of a job.

    Attributes:
        current: the name of this one.
        names: of all of them, in an order that all agree on.
        interface: the network interface by which they talk; None where nothing is said of it.
    """

    current: str
    names: list[str]
    interface: str | None

    @property
    def position(self) -> int:
        """The place of the current host among all, counted from 0."""
        return self.names.index(self.current)


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
    def checkpoints(self) -> Path:
        """Where checkpoints go, if the job has them: only then the platform makes this folder."""
        return self.base / "checkpoints"

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
        sharded = self.sharded_channels()
        for name, settings in config.items():
            _check_input_mode(name, settings if isinstance(settings, dict) else {})
            if not (data / name).is_dir() and name not in sharded:
                raise DataError(f"channel {name}: {data / name} is not there, though {path} lists it")
        found = [entry.name for entry in data.iterdir() if entry.is_dir()] if data.is_dir() else []
        return {name: data / name for name in sorted({*found, *config})}

    def sharded_channels(self) -> set[str]:
        """The channels of which every host got other files, some hosts perhaps none."""
        path = self.base / "input" / "config" / "inputdataconfig.json"
        return {
            name
            for name, settings in _json_object(path).items()
            if isinstance(settings, dict) and settings.get("S3DistributionType") == "ShardedByS3Key"
        }

    def hosts(self) -> Hosts:
        """The hosts of the job; this machine alone where the platform wrote nothing of them.

        Raises:
            HostError: the file does not tell who this host is.
        """
        path = self.base / "input" / "config" / "resourceconfig.json"
        try:
            config = _json_object(path)
        except ValueError as error:
            raise HostError(f"{path}: {error}") from error
        current, names = config.get("current_host", "localhost"), config.get("hosts", ["localhost"])
        if not isinstance(names, list) or current not in names:
            raise HostError(f"{path}: current_host is {current!r}, expected one of hosts, which is {names!r}")
        return Hosts(current, names, config.get("network_interface_name"))

    @property
    def failure(self) -> Path:
        """Where the platform looks for the reason of a failure."""
        return self.base / "output" / "failure"

    def write_failure(self, message: str) -> None:
        """Leave the reason of a failure for the platform: its first 1,024 characters.

        Raises:
            OSError: the file cannot be written.
        """
        self.failure.parent.mkdir(parents=True, exist_ok=True)
        self.failure.write_text(message[:_FAILURE_CHARACTERS], "utf-8", errors="replace")


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
