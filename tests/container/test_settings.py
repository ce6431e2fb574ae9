"""Settings of the server, on a machine with 4 CPUs and 16 GiB by default."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from byoc.errors import PackageError
from byoc.serving.request import Limits
from serving import cgroup, settings
from serving.footprint import MIB
from serving.settings import Settings, SettingsError

GIB = 1024 * MIB


def make_machine(monkeypatch: pytest.MonkeyPatch, cpus: int, memory: int) -> None:
    monkeypatch.setattr(cgroup, "cpus", lambda: cpus)
    monkeypatch.setattr(cgroup, "memory", lambda: memory)


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    make_machine(monkeypatch, 4, 16 * GIB)
    monkeypatch.setenv("PATH", "")


def add_gpus(monkeypatch: pytest.MonkeyPatch, folder: Path, script: str) -> None:
    """Put an nvidia-smi on the PATH."""
    program = folder / "nvidia-smi"
    program.write_text(f'#!/bin/sh\n[ "$*" = --list-gpus ] || exit 9\n{script}\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))


def read(**environment: str) -> Settings:
    return Settings.from_environment(environment)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("port", 8080),
        ("workers", 4),
        ("threads", 1),
        ("gpus", 0),
        ("request_seconds", 65),
        ("body_bytes", 25 * MIB),
        ("batch_size", 16),
        ("batch_delay_ms", 1),
        ("in_flight", 512),
        ("heap_bytes", 2 * GIB),
        ("multi_model", False),
        ("log_level", "info"),
        ("max_texts", Limits().texts),
        ("max_characters", Limits().characters),
        ("vm_arguments", ()),
    ],
)
def test_default_value(name: str, value: object) -> None:
    assert getattr(read(), name) == value


@pytest.mark.parametrize(
    ("variable", "text", "name", "value"),
    [
        ("SAGEMAKER_BIND_TO_PORT", "9999", "port", 9999),
        ("SAGEMAKER_MODEL_SERVER_WORKERS", "7", "workers", 7),
        ("OMP_NUM_THREADS", "3", "threads", 3),
        ("SAGEMAKER_MODEL_SERVER_TIMEOUT_SECONDS", "3600", "request_seconds", 3600),
        ("SAGEMAKER_BATCH", "true", "request_seconds", 605),
        ("SAGEMAKER_BATCH", "True", "request_seconds", 605),
        ("SAGEMAKER_MAX_PAYLOAD_IN_MB", "100", "body_bytes", 100 * MIB),
        ("SAGEMAKER_MAX_PAYLOAD_IN_MB", "0", "body_bytes", 0),
        ("SERVE_BATCH_SIZE", "1", "batch_size", 1),
        ("SERVE_BATCH_DELAY_MS", "0", "batch_delay_ms", 0),
        ("SERVE_MAX_REQUESTS", "10", "in_flight", 10),
        ("SAGEMAKER_MULTI_MODEL", "true", "multi_model", True),
        ("SERVE_LOG_LEVEL", "DEBUG", "log_level", "debug"),
        ("SERVE_MAX_TEXTS", "5", "max_texts", 5),
        ("SERVE_MAX_CHARACTERS", "6", "max_characters", 6),
        ("SERVE_LONG_TEXTS", "Refuse", "long_texts", "refuse"),
        ("SAGEMAKER_MODEL_SERVER_VMARGS", "-Xss1m  -Dx=y", "vm_arguments", ("-Xss1m", "-Dx=y")),
    ],
)
def test_variable_sets_its_field(variable: str, text: str, name: str, value: object) -> None:
    assert getattr(read(**{variable: text}), name) == value


RANGES = {
    "SAGEMAKER_BIND_TO_PORT": (1, 65535),
    "SAGEMAKER_MODEL_SERVER_WORKERS": (1, 1024),
    "OMP_NUM_THREADS": (1, 1024),
    "SAGEMAKER_MODEL_SERVER_TIMEOUT_SECONDS": (1, 86_400),
    "SAGEMAKER_MAX_PAYLOAD_IN_MB": (0, 2047),
    "SERVE_BATCH_SIZE": (1, 1024),
    "SERVE_BATCH_DELAY_MS": (0, 10_000),
    "SERVE_MAX_REQUESTS": (1, 100_000),
    "SERVE_MAX_TEXTS": (1, 10**9),
    "SERVE_MAX_CHARACTERS": (1, 10**9),
}


@pytest.mark.parametrize("variable", RANGES)
def test_number_beyond_range_is_refused(variable: str) -> None:
    least, most = RANGES[variable]
    for text in (str(least - 1), str(most + 1)):
        with pytest.raises(SettingsError) as caught:
            read(**{variable: text})
        assert str(caught.value) == f"{variable}={text}: expected a whole number from {least} to {most}"


@pytest.mark.parametrize("variable", RANGES)
def test_ends_of_range_are_allowed(variable: str) -> None:
    for number in RANGES[variable]:
        read(**{variable: str(number)})


@pytest.mark.parametrize("text", ["many", "1.5", "1e3", "-1", "+1", " 1", "1\n", "٣", "²"])
def test_malformed_number_is_refused(text: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read(SERVE_BATCH_SIZE=text)
    assert str(caught.value) == f"SERVE_BATCH_SIZE={text}: expected a whole number from 1 to 1024"


@pytest.mark.parametrize("text", ["loud", "critical", "info "])
def test_unknown_log_level_is_refused(text: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read(SERVE_LOG_LEVEL=text)
    assert str(caught.value) == f"SERVE_LOG_LEVEL={text}: expected one of debug, info, warning, error"


def add_package(monkeypatch: pytest.MonkeyPatch, *metric_names: str) -> None:
    """Make every name that of a model package with these metrics."""
    package = SimpleNamespace(metric_names=metric_names, csv_fields=(), plain_field=None)
    monkeypatch.setattr(settings, "import_package", lambda _name: package)


@pytest.mark.parametrize(
    ("package", "namespace"), [("tfidf", "Tfidf"), ("my_model2", "MyModel2"), ("a.b_c", "BC")]
)
def test_namespace_is_package_in_camel_case(
    monkeypatch: pytest.MonkeyPatch, package: str, namespace: str
) -> None:
    add_package(monkeypatch)
    assert read(MODEL_PACKAGE=package).metric_namespace == namespace


def test_metric_names_are_the_packages() -> None:
    assert read(MODEL_PACKAGE="tests.support.toy").metric_names == ("longest",)


@pytest.mark.parametrize("name", ["", "Big", "a-b", "a b", "1st", "é", "x;", "status", "texts", "batch_size"])
def test_malformed_metric_name_is_refused(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    add_package(monkeypatch, "good", name)
    with pytest.raises(PackageError, match=f"'m' has metric '{name}'; expected lower-case letters"):
        read(MODEL_PACKAGE="m")


@pytest.mark.parametrize("text", ["My/Name_space.1-a#b:c", "x" * 255])
def test_namespace_can_be_set(text: str) -> None:
    assert read(SERVE_METRIC_NAMESPACE=text).metric_namespace == text


@pytest.mark.parametrize("text", ["a b", 'a"', "a'", "a;", "$a", "a\n", "é", "x" * 256])
def test_malformed_namespace_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="expected 1 to 255 letters, digits"):
        read(SERVE_METRIC_NAMESPACE=text)


@pytest.mark.parametrize("text", ["", "false", "1", "yes", "true "])
def test_flag_is_true_for_true_only(text: str) -> None:
    assert not read(SAGEMAKER_MULTI_MODEL=text).multi_model


def test_empty_variable_is_not_set() -> None:
    variables = dict.fromkeys([*RANGES, "SERVE_LOG_LEVEL", "SAGEMAKER_MODEL_SERVER_VMARGS"], "")
    assert read(**variables) == read()


def test_default_environment_is_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERVE_BATCH_SIZE", "3")
    assert Settings.from_environment().batch_size == 3


def make_artifact(folder: Path, mib: int) -> Path:
    """An artifact with tensors of that size."""
    with (folder / "model.safetensors").open("wb") as stream:
        stream.truncate(mib * MIB)
    return folder


@pytest.mark.parametrize(
    ("cpus", "memory", "tensors", "workers"),
    [
        (1, 1 * GIB, 30, 1),
        (2, 1 * GIB, 30, 2),
        (8, 1 * GIB, 30, 3),
        (64, 256 * GIB, 30, 64),
        (8, 256 * MIB, 30, 1),
        (2, 2 * GIB, 900, 1),
        (2, 3 * GIB, 900, 1),
        (2, 4 * GIB, 900, 2),
    ],
)
def test_workers_fit_cpus_and_memory(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, cpus: int, memory: int, tensors: int, workers: int
) -> None:
    make_machine(monkeypatch, cpus, memory)
    settings = Settings.from_environment({}, make_artifact(tmp_path, tensors))
    assert (settings.workers, settings.wanted_workers) == (workers, cpus)
    assert settings.threads == max(1, cpus // workers)


def test_chosen_workers_are_reduced_to_memory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    make_machine(monkeypatch, 4, 2 * GIB)
    chosen = {"SAGEMAKER_MODEL_SERVER_WORKERS": "3"}
    settings = Settings.from_environment(chosen, make_artifact(tmp_path, 500))
    assert (settings.workers, settings.wanted_workers) == (1, 3)


def test_threads_divide_cpus_by_workers() -> None:
    assert read(SAGEMAKER_MODEL_SERVER_WORKERS="2").threads == 2


def test_multi_model_worker_has_1_thread() -> None:
    assert read(SAGEMAKER_MULTI_MODEL="true").threads == 1


def test_threads_are_at_least_1() -> None:
    assert read(SAGEMAKER_MODEL_SERVER_WORKERS="9").threads == 1


def test_multi_model_has_one_worker() -> None:
    assert read(SAGEMAKER_MULTI_MODEL="true").workers == 1


def test_each_gpu_has_one_worker(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    add_gpus(monkeypatch, tmp_path, "echo 'GPU 0: Tesla T4 (UUID: x)'; echo 'GPU 1: Tesla T4 (UUID: y)'")
    assert (read().gpus, read().workers) == (2, 2)


@pytest.mark.parametrize("script", ["exit 0", "echo 'No devices found.'", "echo 'NVIDIA-SMI failed'; exit 9"])
def test_nvidia_smi_without_gpu_counts_0(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, script: str
) -> None:
    add_gpus(monkeypatch, tmp_path, script)
    assert (read().gpus, read().workers) == (0, 4)


def test_timeout_variable_overrides_batch_transform() -> None:
    assert read(SAGEMAKER_BATCH="true", SAGEMAKER_MODEL_SERVER_TIMEOUT_SECONDS="9").request_seconds == 9


@pytest.mark.parametrize("megabytes", ["1", "5", "6"])
def test_body_limit_is_at_least_sagemakers(megabytes: str) -> None:
    assert read(SAGEMAKER_MAX_PAYLOAD_IN_MB=megabytes).body_bytes == 6_291_456


@pytest.mark.parametrize(("memory", "heap"), [(256 * MIB, 64), (1 * GIB, 128), (1024 * GIB, 4096)])
def test_heap_is_a_bounded_eighth(monkeypatch: pytest.MonkeyPatch, memory: int, heap: int) -> None:
    make_machine(monkeypatch, 4, memory)
    assert read().heap_bytes == heap * MIB


@pytest.mark.parametrize(("memory", "requests"), [(256 * MIB, 139), (1 * GIB, 363), (4 * GIB, 512)])
def test_small_memory_limits_requests(monkeypatch: pytest.MonkeyPatch, memory: int, requests: int) -> None:
    make_machine(monkeypatch, 1, memory)
    assert read().in_flight == requests
    # A large body does not pass through the heap.
    assert read(SAGEMAKER_MAX_PAYLOAD_IN_MB="1000").in_flight == requests


@pytest.mark.parametrize(("megabytes", "texts"), [("25", 10_000), ("6", 10_000), ("1000", 400_000)])
def test_text_limit_grows_with_payload(megabytes: str, texts: int) -> None:
    assert read(SAGEMAKER_MAX_PAYLOAD_IN_MB=megabytes).max_texts == texts


def test_unlimited_payload_has_largest_text_limit() -> None:
    assert read(SAGEMAKER_MAX_PAYLOAD_IN_MB="0").max_texts == 810_000


def test_batch_transform_has_no_text_limit() -> None:
    assert read(SAGEMAKER_BATCH="true").max_texts == 10**9
    assert read(SAGEMAKER_BATCH="true", SERVE_MAX_TEXTS="5").max_texts == 5


def test_large_payloads_are_not_batched() -> None:
    """One worker would take all of them while the rest is idle."""
    assert read(SAGEMAKER_MAX_PAYLOAD_IN_MB="1000").batch_size == 1
    assert read(SAGEMAKER_MAX_PAYLOAD_IN_MB="1000", SERVE_BATCH_SIZE="4").batch_size == 4


@pytest.mark.parametrize("text", ["", "application/json", "text/csv; charset=utf-8", "*/*", "text/*"])
def test_producible_default_accept_is_allowed(text: str) -> None:
    assert read(SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT=text).accept == text


@pytest.mark.parametrize("text", ["application/xml", "json", "image/*"])
def test_other_default_accept_is_refused(text: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read(SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT=text)
    assert str(caught.value) == (
        f"SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT={text}: expected one of application/json, "
        "application/jsonlines, text/csv, text/plain"
    )


EVERY_KIND: list[dict[str, str]] = [
    {},
    {"SAGEMAKER_MAX_PAYLOAD_IN_MB": "1"},
    {"SAGEMAKER_MAX_PAYLOAD_IN_MB": "0"},
    {"SAGEMAKER_MODEL_SERVER_WORKERS": "1"},
    {"SAGEMAKER_MODEL_SERVER_WORKERS": "16"},
    {"SAGEMAKER_MODEL_SERVER_WORKERS": "1024"},
    {"SERVE_MAX_REQUESTS": "3"},
]


@pytest.mark.parametrize("environment", EVERY_KIND, ids=str)
def test_transforms_are_within_all_limits(environment: dict[str, str]) -> None:
    settings = read(**environment)
    assert 1 <= settings.transforms <= settings.in_flight
    assert settings.transform_mb >= 1
    assert settings.transform_mb * MIB <= (settings.body_bytes or 100 * MIB)
    # The limit of CreateTransformJob.
    assert settings.transforms * settings.transform_mb <= 100


def test_transforms_keep_all_workers_busy() -> None:
    assert (read().transforms, read().transform_mb) == (8, 6)


def test_many_workers_reduce_the_transform_size() -> None:
    settings = read(SAGEMAKER_MODEL_SERVER_WORKERS="16")
    assert (settings.transforms, settings.transform_mb) == (32, 3)


def described(settings: Settings) -> dict[str, Any]:
    figures: dict[str, Any] = json.loads(json.dumps(settings.log_fields()))
    return figures


def test_log_fields_have_every_setting() -> None:
    names = set(vars(read())) - {"body_bytes", "heap_bytes"} | {"body_mib", "heap_mib"}
    assert set(described(read())) == names | {"cpus", "memory_mib"}


def test_log_fields_have_these_values() -> None:
    figures = described(read(SERVE_BATCH_SIZE="5"))
    assert (figures["batch_size"], figures["body_mib"], figures["heap_mib"]) == (5, 25.0, 2048)


def test_log_fields_have_machine_limits() -> None:
    assert (described(read())["cpus"], described(read())["memory_mib"]) == (4, 16384)
