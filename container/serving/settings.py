"""Settings of the server, from the environment (with the toolkit's variable names) and the machine."""

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sagemaker_inference import parameters

from byoc.errors import NotAcceptableError, PackageError, UserError
from byoc.model import ModelPackage
from byoc.package import import_package, package_name
from byoc.serving.json_log import LEVELS
from byoc.serving.request import Limits
from byoc.serving.response import Fields, choose_media_type
from serving import cgroup
from serving.footprint import MIB, Footprint

# SageMaker sends at most 6 MiB in real time (InvokeEndpoint's BodyBlob) and 100 MB in batch transform.
BODY_BYTES = 25 * MIB
MIN_BODY_BYTES = 6_291_456
# MaxConcurrentTransforms times MaxPayloadInMB may be 100 at most (CreateTransformJob).
TRANSFORM_MB = 100
# The server stores lengths in a Java int.
MAX_BYTES = 2**31 - 1
# SageMaker gives up on a request after 60 seconds in real time, and after 600 in batch transform.
REQUEST_SECONDS = 65
BATCH_TRANSFORM_SECONDS = 605
# Digits in the length of a small body, which passes through Java; nginx keeps a larger one in a file.
SMALL_DIGITS = 5
# Copies of a small body in Java's heap: as it arrived, as an array, and as the message to the worker.
COPIES = 3
# Fraction of the memory for Java's heap; the network's buffers, outside of the heap, may take as much again.
HEAP_FRACTION = 1 / 8
MIN_HEAP_BYTES, MAX_HEAP_BYTES = 64 * MIB, 4096 * MIB
# Heap of the server without a request.
IDLE_HEAP_BYTES = 24 * MIB
# Memory of the supervisor, Java and nginx: benchmarks/results/serverless.json.
SERVER_BYTES = 150 * MIB
UNLIMITED_TEXTS = 10**9
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
        workers: processes for each model, as far as the memory holds them.
        wanted_workers: the same without regard to the memory.
        gpus: GPUs of the machine, assigned to the workers in turn.
        request_seconds: time for one request, after which its worker is killed.
        body_bytes: maximum size of a body; 0 means no limit.
        transforms: MaxConcurrentTransforms, the requests that batch transform may have in flight.
        transform_mb: MaxPayloadInMB, the size of each; below every limit on bodies.
        batch_delay_ms: milliseconds that a request waits for a batch to fill.
        in_flight: maximum requests accepted at a time; more get a 503.
        multi_model: the endpoint loads and unloads models.
        log_level: lowest level of a line, one of LEVELS.
        metric_namespace: CloudWatch namespace of the request log's metrics.
        metric_names: metrics of the model package in the request log.
        precision: arithmetic of the model: fp32, or auto for the fastest on this hardware.
        long_texts: whether to truncate or refuse a text of which the model uses a part.
        accept: type of the answer to a request that accepts any; empty for the server's choice.
    """

    port: int
    workers: int
    wanted_workers: int
    threads: int
    gpus: int
    request_seconds: int
    body_bytes: int
    transforms: int
    transform_mb: int
    batch_size: int
    batch_delay_ms: int
    in_flight: int
    heap_bytes: int
    multi_model: bool
    log_level: str
    metric_namespace: str
    metric_names: tuple[str, ...]
    precision: str
    accept: str
    max_texts: int
    max_characters: int
    long_texts: str
    vm_arguments: tuple[str, ...]

    @classmethod
    def from_environment(
        cls, environment: Mapping[str, str] = os.environ, artifact: Path | None = None
    ) -> "Settings":
        """Settings from the variables of ``environment``, the limits of the machine, and the model's size.

        Raises:
            SettingsError: a variable has an invalid value.
        """
        variables = _Variables(environment)
        multi_model, batch = variables.flag(parameters.MULTI_MODEL_ENV), variables.flag("SAGEMAKER_BATCH")
        gpus, cpus, memory = _count_gpus(), cgroup.cpus(), cgroup.memory()
        default_workers = 1 if multi_model else gpus or cpus
        wanted = variables.number(parameters.MODEL_SERVER_WORKERS_ENV, default_workers, 1, 1024)
        workers = wanted
        if artifact and not multi_model:
            free = int(memory * (1 - HEAP_FRACTION)) - SERVER_BYTES
            workers = max(1, Footprint.of_artifact(artifact).fit(free, wanted))
        body_bytes = _body_bytes(variables)
        heap_bytes = int(min(max(memory * HEAP_FRACTION, MIN_HEAP_BYTES), MAX_HEAP_BYTES))
        held = (heap_bytes - IDLE_HEAP_BYTES) // (COPIES * 10**SMALL_DIGITS)
        in_flight = variables.number("SERVE_MAX_REQUESTS", min(held, MAX_IN_FLIGHT), 1, 100_000)
        # SageMaker's default of 6 MB, or less if many workers share the 100 MB.
        transform_mb = max(1, min(6, TRANSFORM_MB // (2 * workers)))
        large_bodies = not 0 < body_bytes <= BODY_BYTES
        max_texts = Limits.texts * max(1, (body_bytes or MAX_BYTES) // BODY_BYTES)
        name = variables.text("MODEL_PACKAGE") or package_name()
        package = import_package(name)
        camel_case = name.rpartition(".")[2].title().replace("_", "")
        return cls(
            port=variables.number(parameters.BIND_TO_PORT_ENV, 8080, 1, 65535),
            workers=workers,
            wanted_workers=wanted,
            # The models of a multi-model endpoint share the CPUs, and threads beyond the free CPUs stall.
            threads=variables.number(
                "OMP_NUM_THREADS", 1 if multi_model else max(1, cpus // workers), 1, 1024
            ),
            gpus=gpus,
            request_seconds=variables.number(
                parameters.MODEL_SERVER_TIMEOUT_SECONDS_ENV,
                BATCH_TRANSFORM_SECONDS if batch else REQUEST_SECONDS,
                1,
                86_400,
            ),
            body_bytes=body_bytes,
            # For each worker one request in work and one that waits; none that would be refused.
            transforms=min(2 * workers, TRANSFORM_MB // transform_mb, in_flight),
            transform_mb=transform_mb,
            # A batch of large requests would occupy one worker while the rest is idle.
            batch_size=variables.number("SERVE_BATCH_SIZE", 1 if large_bodies else 16, 1, 1024),
            batch_delay_ms=variables.number("SERVE_BATCH_DELAY_MS", 1, 0, 10_000),
            in_flight=in_flight,
            heap_bytes=heap_bytes,
            multi_model=multi_model,
            log_level=variables.choice("SERVE_LOG_LEVEL", LEVELS, "info"),
            metric_namespace=variables.namespace("SERVE_METRIC_NAMESPACE", camel_case),
            metric_names=_metric_names(name, package),
            # The handler reads the next four variables itself and relies on this check.
            precision=variables.choice("SERVE_PRECISION", ("fp32", "auto"), "fp32"),
            accept=variables.accept(parameters.DEFAULT_INVOCATIONS_ACCEPT_ENV, package),
            # In batch transform only the size of a body is limited: each record needs an answer.
            max_texts=variables.number(
                "SERVE_MAX_TEXTS", UNLIMITED_TEXTS if batch else max_texts, 1, UNLIMITED_TEXTS
            ),
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


def _metric_names(package_name: str, package: ModelPackage) -> tuple[str, ...]:
    """The package's metrics, whose names become headers, variables of nginx, and fields of the log."""
    for name in package.metric_names:
        if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or name in RESERVED_FIELDS:
            expected = f"lower-case letters, digits and '_', and none of {', '.join(RESERVED_FIELDS)}"
            raise PackageError(f"MODEL_PACKAGE: {package_name!r} has metric {name!r}; expected {expected}")
    return package.metric_names


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
            raise SettingsError(f"{name}={text}: expected 1 to 255 letters, digits or any of .-_/#:")
        return text

    def accept(self, name: str, package: ModelPackage) -> str:
        text = self.text(name)
        try:
            choose_media_type(text or None, "", Fields(package.csv_fields, package.plain_field))
        except NotAcceptableError as error:
            expected = str(error).partition("; ")[2]
            raise SettingsError(f"{name}={text}: {expected}") from None
        return text

    def choice(self, name: str, choices: tuple[str, ...], default: str) -> str:
        text = self.text(name).lower() or default
        if text not in choices:
            raise SettingsError(f"{name}={text}: expected one of {', '.join(choices)}")
        return text
