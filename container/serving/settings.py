"""Settings of the server, from the environment (with the toolkit's variable names) and the machine."""

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sagemaker_inference import parameters

from byoc.errors import PackageError, UserError
from byoc.package import import_package, package_name
from byoc.serving.json_log import LEVELS
from byoc.serving.request import Limits
from serving import cgroup

MIB = 2**20
# SageMaker sends at most 6 MiB in real time (InvokeEndpoint's BodyBlob) and 100 MB in batch transform.
BODY_BYTES = 25 * MIB
MIN_BODY_BYTES = 6_291_456
# MaxConcurrentTransforms times MaxPayloadInMB may be 100 at most (CreateTransformJob).
TRANSFORM_MB = 100
# SageMaker gives up on a request after 60 seconds in real time, and after 600 in batch transform.
REQUEST_SECONDS = 65
BATCH_TRANSFORM_SECONDS = 605
# Copies of a body: as it arrived, as the server's array, and as the message to the worker.
COPIES = 3
# Fraction of the memory for Java's heap; the network's buffers, outside of the heap, may take as much again.
HEAP_FRACTION = 1 / 8
MIN_HEAP_BYTES, MAX_HEAP_BYTES = 64 * MIB, 4096 * MIB
# Memory of a worker with a model of the default size, including the memory that it shares with its parent:
# benchmarks/results/serverless.json.
WORKER_BYTES = 350 * MIB
# A smaller body counts as small. nginx.conf.j2 compares the number of digits.
SMALL_BODY_BYTES = 10**6
MAX_IN_FLIGHT = 512
# Names in nginx.conf.j2 that a metric of the model cannot have.
RESERVED_FIELDS = (
    *("time", "level", "source", "method", "path", "status", "bytes", "requests", "errors", "latency"),
    *("batch_size", "queue_seconds", "texts", "characters", "request_id", "amzn_sagemaker_custom_attributes"),
)


class SettingsError(UserError):
    """A variable has an invalid value; the message names it and the allowed values."""


@dataclass(frozen=True)
class Settings:
    """Settings of the server.

    Attributes:
        workers: processes for each model.
        gpus: GPUs of the machine, assigned to the workers in turn.
        request_seconds: time for one request, after which its worker is killed.
        body_bytes: maximum size of a body; 0 means no limit.
        transforms: MaxConcurrentTransforms, the requests that batch transform may have in flight.
        transform_mb: MaxPayloadInMB, the size of each; below every limit on bodies.
        batch_delay_ms: milliseconds that a request waits for a batch to fill.
        in_flight: maximum requests accepted at a time; more get a 503.
        large_in_flight: maximum of them with a body of 1 MB or more, or of unknown length.
        multi_model: the endpoint loads and unloads models.
        log_level: lowest level of a line, one of LEVELS.
        metric_namespace: CloudWatch namespace of the request log's metrics.
        metric_names: metrics of the model package in the request log.
        precision: arithmetic of the model: fp32, or auto for the fastest on this hardware.
        long_texts: whether to truncate or refuse a text of which the model uses a part.
    """

    port: int
    workers: int
    threads: int
    gpus: int
    request_seconds: int
    body_bytes: int
    transforms: int
    transform_mb: int
    batch_size: int
    batch_delay_ms: int
    in_flight: int
    large_in_flight: int
    heap_bytes: int
    multi_model: bool
    log_level: str
    metric_namespace: str
    metric_names: tuple[str, ...]
    precision: str
    max_texts: int
    max_characters: int
    long_texts: str
    vm_arguments: tuple[str, ...]

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Settings":
        """Settings from the variables of ``environment`` and the limits of the machine.

        Raises:
            SettingsError: a variable has an invalid value.
        """
        variables = _Variables(environment)
        multi_model = variables.flag(parameters.MULTI_MODEL_ENV)
        gpus = _count_gpus()
        cpus, memory = cgroup.cpus(), cgroup.memory()
        # One worker per GPU; without GPUs, one per CPU as far as half of the memory holds them.
        default_workers = 1 if multi_model else gpus or max(1, min(cpus, memory // 2 // WORKER_BYTES))
        workers = variables.number(parameters.MODEL_SERVER_WORKERS_ENV, default_workers, 1, 1024)
        body_bytes = _body_bytes(variables)
        heap_bytes = int(min(max(memory * HEAP_FRACTION, MIN_HEAP_BYTES), MAX_HEAP_BYTES))
        max_in_flight = int(min(heap_bytes / (COPIES * SMALL_BODY_BYTES) * 2, MAX_IN_FLIGHT))
        in_flight = variables.number("SERVE_MAX_REQUESTS", max_in_flight, 1, 100_000)
        max_large = max(1, int(heap_bytes / (COPIES * (body_bytes or TRANSFORM_MB * MIB)) * 2))
        large_in_flight = variables.number("SERVE_MAX_LARGE_REQUESTS", max_large, 1, 100_000)
        # SageMaker's default of 6 MB, or less if many workers share the 100 MB.
        transform_mb = max(1, min(6, TRANSFORM_MB // (2 * workers)))
        batch = variables.flag("SAGEMAKER_BATCH")
        package = variables.text("MODEL_PACKAGE") or package_name()
        return cls(
            port=variables.number(parameters.BIND_TO_PORT_ENV, 8080, 1, 65535),
            workers=workers,
            threads=variables.number("OMP_NUM_THREADS", max(1, cpus // workers), 1, 1024),
            gpus=gpus,
            request_seconds=variables.number(
                parameters.MODEL_SERVER_TIMEOUT_SECONDS_ENV,
                BATCH_TRANSFORM_SECONDS if batch else REQUEST_SECONDS,
                1,
                86_400,
            ),
            body_bytes=body_bytes,
            # For each worker one request in work and one that waits; none that would be refused.
            transforms=min(2 * workers, TRANSFORM_MB // transform_mb, in_flight, large_in_flight),
            transform_mb=transform_mb,
            batch_size=variables.number("SERVE_BATCH_SIZE", 16, 1, 1024),
            batch_delay_ms=variables.number("SERVE_BATCH_DELAY_MS", 1, 0, 10_000),
            in_flight=in_flight,
            large_in_flight=large_in_flight,
            heap_bytes=heap_bytes,
            multi_model=multi_model,
            log_level=variables.choice("SERVE_LOG_LEVEL", LEVELS, "info"),
            metric_namespace=variables.namespace("SERVE_METRIC_NAMESPACE", _camel_case(package)),
            metric_names=_metric_names(package),
            # The handler reads these variables itself and relies on this check.
            precision=variables.choice("SERVE_PRECISION", ("fp32", "auto"), "fp32"),
            max_texts=variables.number("SERVE_MAX_TEXTS", Limits.texts, 1, 10**9),
            max_characters=variables.number("SERVE_MAX_CHARACTERS", Limits.characters, 1, 10**9),
            long_texts=variables.choice("SERVE_LONG_TEXTS", ("truncate", "refuse"), "truncate"),
            vm_arguments=tuple(variables.text(parameters.MODEL_SERVER_VMARGS).split()),
        )

    def log_fields(self) -> dict[str, Any]:
        """All settings, and the limits of the machine, in units for readers."""
        fields = {name: value for name, value in vars(self).items() if not name.endswith("_bytes")}
        return fields | {
            "body_mib": self.body_bytes / MIB,
            "heap_mib": self.heap_bytes // MIB,
            "memory_mib": cgroup.memory() // MIB,
            "cpus": cgroup.cpus(),
        }


def _body_bytes(variables: "_Variables") -> int:
    if not variables.text(parameters.MAX_REQUEST_SIZE):
        return BODY_BYTES
    megabytes = variables.number(parameters.MAX_REQUEST_SIZE, 0, 0, 2047)
    return max(megabytes * MIB, MIN_BODY_BYTES) if megabytes else 0


def _camel_case(package: str) -> str:
    return package.rpartition(".")[2].title().replace("_", "")


def _metric_names(package: str) -> tuple[str, ...]:
    """The package's metrics, whose names become headers, variables of nginx, and fields of the log."""
    names = import_package(package).metric_names
    for name in names:
        if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or name in RESERVED_FIELDS:
            expected = f"lower-case letters, digits and '_', and none of {', '.join(RESERVED_FIELDS)}"
            raise PackageError(
                f"MODEL_PACKAGE: {package!r} has the metric name {name!r}; expected {expected}"
            )
    return names


def _count_gpus() -> int:
    """Number of GPUs, counted from ``nvidia-smi --list-gpus`` as the model server does."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return 0
    listing = subprocess.run([program, "--list-gpus"], capture_output=True, text=True, check=False)
    return sum(line.startswith("GPU ") for line in listing.stdout.splitlines())


class _Variables:
    """Typed access to variables; an empty variable counts as not set."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment

    def text(self, name: str) -> str:
        # Unchanged, because the handler reads some of the variables too.
        return self._environment.get(name, "")

    def flag(self, name: str) -> bool:
        return self.text(name).lower() == "true"

    def number(self, name: str, default: int, minimum: int, maximum: int) -> int:
        text = self.text(name)
        if not text:
            return default
        if not text.isascii() or not text.isdigit() or not minimum <= int(text) <= maximum:
            raise SettingsError(f"{name}={text}: expected a whole number from {minimum} to {maximum}")
        return int(text)

    def namespace(self, name: str, default: str) -> str:
        text = self.text(name) or default
        # The characters that CloudWatch allows; nginx.conf.j2 relies on it that no other occurs.
        if not re.fullmatch(r"[\w.#/:-]{1,255}", text, re.ASCII):
            raise SettingsError(
                f"{name}={text}: expected 1 to 255 letters, digits, '.', '-', '_', '/', '#' or ':'"
            )
        return text

    def choice(self, name: str, choices: tuple[str, ...], default: str) -> str:
        text = self.text(name).lower() or default
        if text not in choices:
            raise SettingsError(f"{name}={text}: expected one of {', '.join(choices)}")
        return text
