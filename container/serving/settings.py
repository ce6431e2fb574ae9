"""How to serve here: from the environment, with the toolkit's names where it has them, and the machine."""

import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sagemaker_inference import parameters

from sentiment.json_log import LEVELS
from sentiment.limits import Limits
from serving import cgroup

MIB = 2**20
# SageMaker sends 6 MiB at most in real time (InvokeEndpoint's BodyBlob), and 100 MB in batch transform.
BODY_BYTES = 25 * MIB
LEAST_BODY_BYTES = 6_291_456
# MaxConcurrentTransforms times MaxPayloadInMB may be 100 at most (CreateTransformJob).
TRANSFORM_MB = 100
# SageMaker gives up on a request after 60 seconds in real time, and after 600 in batch transform.
REQUEST_SECONDS = 65
BATCH_TRANSFORM_SECONDS = 605
# A body is held three times: as it arrived, as the server's array, and as the message to the worker.
COPIES = 3
# Java's heap gets this share of the memory, and as much again outside of it, for the network's buffers.
HEAP_SHARE = 1 / 8
LEAST_HEAP_BYTES, MOST_HEAP_BYTES = 64 * MIB, 4096 * MIB
# A worker with a model of the default size and what it shares with its parent, as if it did not, and room to
# work: benchmarks/results/serverless.json.
WORKER_BYTES = 350 * MIB
# A body below this counts as small: one of six digits or fewer.
SMALL_BODY_BYTES = 10**6
MOST_IN_FLIGHT = 512


class SettingsError(Exception):
    """A variable of the environment has a value that it cannot have. The message names it."""


@dataclass(frozen=True)
class Settings:
    """How to serve.

    Attributes:
        port: the public one.
        workers: processes with the model, of each model.
        threads: of each worker.
        gpus: those of the machine; each worker gets one, in turn.
        request_seconds: a worker that is busy with one request for longer is killed.
        body_bytes: the largest body; 0 where there is no limit.
        transforms: how many requests batch transform may have in flight: MaxConcurrentTransforms.
        transform_mb: how large each may be: MaxPayloadInMB; less than any limit on bodies.
        batch_size: requests that a worker may get at a time.
        batch_delay_ms: how long a first request waits for others.
        in_flight: requests that may wait and be worked on; more get a 503.
        large_in_flight: how many of them may have a body of a megabyte or more, or of unknown length.
        heap_bytes: Java's heap.
        multi_model: whether this is a multi-model endpoint.
        log_level: one of LEVELS.
        metric_namespace: CloudWatch namespace of the request log's metrics.
        metric_names: figures of the model in the request log.
        precision: the arithmetic of the network: fp32, or auto for the fastest that the hardware has.
        max_texts: of one request.
        max_characters: of one text.
        vm_arguments: further ones for Java.
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
    vm_arguments: tuple[str, ...]


def read(environment: Mapping[str, str] | None = None) -> Settings:
    """The settings that ``environment`` (default: this process') and the machine make.

    Raises:
        SettingsError: a value is none that the variable can have.
    """
    variables = _Variables(os.environ if environment is None else environment)
    multi_model = variables.flag(parameters.MULTI_MODEL_ENV)
    gpus = _count_gpus()
    cpus, memory = cgroup.cpus(), cgroup.memory()
    # One worker a GPU; or one a CPU, as long as half of the memory can hold them.
    default_workers = 1 if multi_model else gpus or max(1, min(cpus, memory // 2 // WORKER_BYTES))
    workers = variables.number(parameters.MODEL_SERVER_WORKERS_ENV, default_workers, 1, 1024)
    body_bytes = _body_bytes(variables)
    heap_bytes = int(min(max(memory * HEAP_SHARE, LEAST_HEAP_BYTES), MOST_HEAP_BYTES))
    most = int(min(heap_bytes / (COPIES * SMALL_BODY_BYTES) * 2, MOST_IN_FLIGHT))
    in_flight = variables.number("SERVE_MAX_REQUESTS", most, 1, 100_000)
    most_large = max(1, int(heap_bytes / (COPIES * (body_bytes or TRANSFORM_MB * MIB)) * 2))
    large_in_flight = variables.number("SERVE_MAX_LARGE_REQUESTS", most_large, 1, 100_000)
    # SageMaker's default, or less where many workers have to share what is allowed in all.
    transform_mb = max(1, min(6, TRANSFORM_MB // (2 * workers)))
    batch = variables.flag("SAGEMAKER_BATCH")
    return Settings(
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
        # One to work on and one that waits, for each worker; never one that would be refused.
        transforms=min(2 * workers, TRANSFORM_MB // transform_mb, in_flight, large_in_flight),
        transform_mb=transform_mb,
        batch_size=variables.number("SERVE_BATCH_SIZE", 16, 1, 1024),
        batch_delay_ms=variables.number("SERVE_BATCH_DELAY_MS", 1, 0, 10_000),
        in_flight=in_flight,
        large_in_flight=large_in_flight,
        heap_bytes=heap_bytes,
        multi_model=multi_model,
        log_level=variables.choice("SERVE_LOG_LEVEL", LEVELS, "info"),
        metric_namespace="SentimentLSTM",
        metric_names=("unknown_share",),
        # The workers read these by themselves, and trust that they have been checked.
        precision=variables.choice("SERVE_PRECISION", ("fp32", "auto"), "fp32"),
        max_texts=variables.number("SERVE_MAX_TEXTS", Limits.texts, 1, 10**9),
        max_characters=variables.number("SERVE_MAX_CHARACTERS", Limits.characters, 1, 10**9),
        vm_arguments=tuple(variables.text(parameters.MODEL_SERVER_VMARGS).split()),
    )


def _body_bytes(variables: "_Variables") -> int:
    if not variables.text(parameters.MAX_REQUEST_SIZE):
        return BODY_BYTES
    megabytes = variables.number(parameters.MAX_REQUEST_SIZE, 0, 0, 2047)
    return max(megabytes * MIB, LEAST_BODY_BYTES) if megabytes else 0


def _count_gpus() -> int:
    """GPUs, as the model server counts them: the lines of ``nvidia-smi --list-gpus``."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return 0
    listing = subprocess.run([program, "--list-gpus"], capture_output=True, text=True, check=False)
    return sum(line.startswith("GPU ") for line in listing.stdout.splitlines())


class _Variables:
    """The environment's variables; an empty one counts as not set."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment

    def text(self, name: str) -> str:
        # As it is: the workers read some of the variables too, and have to see the same.
        return self._environment.get(name, "")

    def flag(self, name: str) -> bool:
        return self.text(name).lower() == "true"

    def number(self, name: str, default: int, least: int, most: int) -> int:
        text = self.text(name)
        if not text:
            return default
        if not text.isascii() or not text.isdigit() or not least <= int(text) <= most:
            raise SettingsError(f"{name}={text}: expected a whole number from {least} to {most}")
        return int(text)

    def choice(self, name: str, choices: tuple[str, ...], default: str) -> str:
        text = self.text(name).lower() or default
        if text not in choices:
            raise SettingsError(f"{name}={text}: expected one of {', '.join(choices)}")
        return text


def describe(settings: Settings) -> dict[str, Any]:
    """The settings for the log: all of them in one line."""
    figures = {name: value for name, value in vars(settings).items() if not name.endswith("_bytes")}
    return figures | {
        "body_mib": settings.body_bytes / MIB,
        "heap_mib": settings.heap_bytes // MIB,
        "memory_mib": cgroup.memory() // MIB,
        "cpus": cgroup.cpus(),
    }
