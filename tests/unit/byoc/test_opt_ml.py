"""Paths and configuration files below /opt/ml."""

from pathlib import Path

import pytest

from byoc.errors import DataError, HostError, HyperparameterError
from byoc.opt_ml import OptMl


def config(base: Path, name: str, content: str) -> None:
    folder = base / "input" / "config"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(content)


def test_default_base_is_opt_ml(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SAGEMAKER_BASE_DIR", raising=False)
    assert OptMl.from_environment().model == Path("/opt/ml/model")


def test_variable_moves_the_base(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAGEMAKER_BASE_DIR", "/elsewhere")
    assert OptMl.from_environment().output_data == Path("/elsewhere/output/data")


def test_missing_hyperparameters_file_is_empty(tmp_path: Path) -> None:
    assert OptMl(tmp_path).hyperparameters() == {}


@pytest.mark.parametrize("content", ["{", "[]", "\xff"])
def test_malformed_hyperparameters_file_is_named(tmp_path: Path, content: str) -> None:
    config(tmp_path, "hyperparameters.json", content)
    with pytest.raises(HyperparameterError, match=r"hyperparameters\.json"):
        OptMl(tmp_path).hyperparameters()


def test_channels_need_no_configuration(tmp_path: Path) -> None:
    (tmp_path / "input" / "data" / "training").mkdir(parents=True)
    assert OptMl(tmp_path).channels() == {"training": tmp_path / "input" / "data" / "training"}


def test_missing_channel_folder_is_an_error(tmp_path: Path) -> None:
    config(tmp_path, "inputdataconfig.json", '{"training": {}}')
    with pytest.raises(DataError, match=r"channel training: folder .* is missing"):
        OptMl(tmp_path).channels()


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ('{"TrainingInputMode": "Pipe"}', "Pipe mode"),
        ('{"TrainingInputMode": "File", "RecordWrapperType": "RecordIO"}', "RecordIO"),
        ('{"S3DataType": "AugmentedManifestFile"}', "augmented manifest"),
        ('{"AttributeNames": ["source"]}', "augmented manifest"),
    ],
)
def test_unsupported_input_mode_is_refused(tmp_path: Path, settings: str, name: str) -> None:
    config(tmp_path, "inputdataconfig.json", f'{{"training": {settings}}}')
    with pytest.raises(DataError, match=f"channel training: .*{name}.*File or FastFile"):
        OptMl(tmp_path).channels()


def test_failure_file_has_1024_characters(tmp_path: Path) -> None:
    OptMl(tmp_path).write_failure("cause first " * 200)
    content = (tmp_path / "output" / "failure").read_text()
    assert len(content) == 1024
    assert content.startswith("cause first")


def test_sharded_channel_may_have_no_folder(tmp_path: Path) -> None:
    config(tmp_path, "inputdataconfig.json", '{"training": {"S3DistributionType": "ShardedByS3Key"}}')
    assert OptMl(tmp_path).channels() == {"training": tmp_path / "input" / "data" / "training"}
    assert OptMl(tmp_path).sharded_channels() == {"training"}


def test_replicated_channel_is_not_sharded(tmp_path: Path) -> None:
    config(tmp_path, "inputdataconfig.json", '{"a": {"S3DistributionType": "FullyReplicated"}, "b": {}}')
    assert OptMl(tmp_path).sharded_channels() == set()


def test_hosts_come_from_the_file(tmp_path: Path) -> None:
    content = '{"current_host": "b", "hosts": ["a", "b"], "network_interface_name": "eth0"}'
    config(tmp_path, "resourceconfig.json", content)
    hosts = OptMl(tmp_path).hosts()
    assert (hosts.names, hosts.position, hosts.interface) == (["a", "b"], 1, "eth0")


def test_default_is_one_host(tmp_path: Path) -> None:
    assert len(OptMl(tmp_path).hosts().names) == 1


@pytest.mark.parametrize("content", ["{", '{"current_host": "c", "hosts": ["a", "b"]}', '{"hosts": "a"}'])
def test_malformed_hosts_are_refused(tmp_path: Path, content: str) -> None:
    config(tmp_path, "resourceconfig.json", content)
    with pytest.raises(HostError, match=r"resourceconfig\.json"):
        OptMl(tmp_path).hosts()
