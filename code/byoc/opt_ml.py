"""SageMaker's folder /opt/ml: input, configuration and output of a container.

Layout and files: https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo.html
"""

import json
import os
from pathlib import Path
from typing import Any, NamedTuple, Self

from byoc.errors import DataError, HostError, HyperparameterError, UserError

_FAILURE_CHARACTERS = 1024  # SageMaker shows no more of the failure file


class Hosts(NamedTuple):
    """Names of this host and of all hosts, in the same order everywhere, and their network interface."""

    current: str
    names: list[str]
    interface: str | None

    @property
    def position(self) -> int:
        """Index of this host in ``names``."""
        return self.names.index(self.current)


class OptMl:
    """The paths below a base folder: ``SAGEMAKER_BASE_DIR``, by default /opt/ml.

    Attributes:
        model: the artifact: output of training, input of serving.
        checkpoints: SageMaker creates the folder only for a job with a checkpoint configuration.
        output_data: output other than the model: metrics, predictions, a report.
        failure: the reason of a failure, which SageMaker shows as FailureReason.
    """

    def __init__(self, base: Path) -> None:
        self.base = base
        self.model = base / "model"
        self.checkpoints = base / "checkpoints"
        self.output_data = base / "output" / "data"
        self.failure = base / "output" / "failure"
        self._config = base / "input" / "config"

    @classmethod
    def from_environment(cls) -> Self:
        """The paths of this process."""
        return cls(Path(os.environ.get("SAGEMAKER_BASE_DIR") or "/opt/ml"))

    def hyperparameters(self) -> dict[str, Any]:
        """Names and values as SageMaker writes them; empty without the file.

        Raises:
            HyperparameterError: the file is not a JSON object.
        """
        return _json_object(self._config / "hyperparameters.json", HyperparameterError)

    def channels(self) -> dict[str, Path]:
        """The folders of the channels by name, from ``inputdataconfig.json`` and from the folder ``data``.

        Raises:
            DataError: a channel's folder is missing, or its input mode is not supported.
        """
        data = self.base / "input" / "data"
        config, sharded = self._channel_settings(), self.sharded_channels()
        for name, settings in config.items():
            _check_input_mode(name, settings)
            if not (data / name).is_dir() and name not in sharded:
                raise DataError(f"channel {name}: folder {data / name} is missing; the job lists the channel")
        folders = [entry.name for entry in data.iterdir() if entry.is_dir()] if data.is_dir() else []
        return {name: data / name for name in sorted({*folders, *config})}

    def _channel_settings(self) -> dict[str, dict[str, Any]]:
        config = _json_object(self._config / "inputdataconfig.json", DataError)
        return {name: value if isinstance(value, dict) else {} for name, value in config.items()}

    def sharded_channels(self) -> set[str]:
        """The channels whose files are distributed over the hosts; a host may have none."""
        return {
            name
            for name, settings in self._channel_settings().items()
            if settings.get("S3DistributionType") == "ShardedByS3Key"
        }

    def hosts(self) -> Hosts:
        """The hosts of the job; only this one without ``resourceconfig.json``.

        Raises:
            HostError: the file does not list this host.
        """
        path = self._config / "resourceconfig.json"
        config = _json_object(path, HostError)
        current, names = config.get("current_host", "localhost"), config.get("hosts", ["localhost"])
        if not isinstance(names, list) or current not in names:
            raise HostError(f"{path}: current_host is {current!r}, expected one of hosts, {names!r}")
        return Hosts(current, names, config.get("network_interface_name"))

    def write_failure(self, message: str) -> None:
        """Write the first 1,024 characters of the reason of a failure."""
        self.failure.parent.mkdir(parents=True, exist_ok=True)
        self.failure.write_text(message[:_FAILURE_CHARACTERS], "utf-8", errors="replace")


def _json_object(path: Path, error_type: type[UserError]) -> dict[str, Any]:
    """The object in a JSON file; empty without the file."""
    try:
        content = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise error_type(f"{path}: {error}") from error
    if not isinstance(content, dict):
        raise error_type(f"{path}: expected a JSON object, got {type(content).__name__}")
    return content


def _check_input_mode(channel: str, settings: dict[str, Any]) -> None:
    remedy = "use TrainingInputMode File or FastFile with S3DataType S3Prefix"
    if settings.get("TrainingInputMode") == "Pipe":
        raise DataError(f"channel {channel}: Pipe mode is not supported; {remedy}")
    if settings.get("RecordWrapperType") == "RecordIO":
        raise DataError(f"channel {channel}: RecordIO is not supported; {remedy}")
    if settings.get("S3DataType") == "AugmentedManifestFile" or "AttributeNames" in settings:
        raise DataError(f"channel {channel}: augmented manifests are not supported; {remedy}")
