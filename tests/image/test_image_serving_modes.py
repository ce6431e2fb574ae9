"""SageMaker's ways to host a model: batch transform, asynchronous, serverless, pipeline, GPU.

The SDK drives batch transform in test_image_sdk2.py; multi-model endpoints are in test_image_multi_model.py.
"""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.image import faults
from tests.image.containers import Container, serving

BATCH = ("--env", "SAGEMAKER_BATCH=true")
LINES = "application/jsonlines"
GIB = 2**30


def test_batch_transform_answers_bad_line_inline(image: str, trained: Path) -> None:
    body = b'{"text": "good"}\n{"text": 1}\n\nnonsense\n"bad"\n'
    with serving(image, trained / "model", options=BATCH) as container:
        answer = container.request("/invocations", body, Content_Type=LINES)
        assert answer.status == 200
        found = [json.loads(line) for line in answer.body.decode().split("\n")]
        assert ["error" in record for record in found] == [False, True, True, True, False]


def test_real_time_bad_line_is_400(image: str, trained: Path) -> None:
    with serving(image, trained / "model") as container:
        answer = container.request("/invocations", b'{"text": "good"}\n{"text": 1}\n', Content_Type=LINES)
        assert answer.status == 400
        assert "line 2" in json.loads(answer.body)["error"]


def test_batch_transform_allows_ten_minutes(image: str, trained: Path) -> None:
    with serving(image, trained / "model", options=BATCH) as container:
        assert json.loads(container.log().splitlines()[0])["request_seconds"] == 605


def test_asynchronous_inference_takes_large_bodies(image: str, trained: Path, tmp_path: Path) -> None:
    options = [*faults.mount(tmp_path), "--env", "SAGEMAKER_MAX_PAYLOAD_IN_MB=100"]
    options += ["--env", "SAGEMAKER_MODEL_SERVER_TIMEOUT_SECONDS=900"]
    text = "x" * 20_000
    texts = [f"{faults.SLEEP}75", *[text] * (100 * 10**6 // len(text) - 2)]
    body = json.dumps(texts).encode()
    assert 99 * 10**6 < len(body) <= 100 * 2**20
    with serving(image, trained / "model", options=options) as container:
        start = time.monotonic()
        answer = container.request("/invocations", body, Content_Type="application/json")
        # Longer than the 65 seconds that a request has by default.
        assert time.monotonic() - start > 75
        assert len(json.loads(answer.body)) == len(texts)


def test_large_bodies_do_not_fill_the_heap(image: str, trained: Path) -> None:
    body = json.dumps("word " * 5_200_000).encode()
    with (
        serving(image, trained / "model", options=("--memory", "1g")) as container,
        ThreadPoolExecutor(8) as pool,
    ):
        requests = [
            pool.submit(container.request, "/invocations", body, Content_Type="application/json")
            for _ in range(8)
        ]
        assert [request.result().status for request in requests] == [200] * 8


def peak_memory(container: Container) -> int:
    """Bytes, as the control group counts them."""
    files = "/sys/fs/cgroup/memory.peak /sys/fs/cgroup/memory/memory.max_usage_in_bytes"
    return int(container.execute("bash", "-c", f"cat {files} 2>/dev/null || true").split()[0])


def test_serverless_fits_1_gib_and_tmp(image: str, trained: Path) -> None:
    # As `jobs deploy` sets it.
    worker = ("--env", "SAGEMAKER_MODEL_SERVER_WORKERS=1")
    options = ("--memory", "1g", "--memory-swap", "1g", "--read-only", "--tmpfs", "/tmp", *worker)  # noqa: S108 (in the container)
    with serving(image, trained / "model", options=options) as container:
        # SageMaker sends at most 4 MB to a serverless endpoint.
        body = json.dumps(["word " * 4_000] * 199).encode()
        assert container.request("/invocations", body, Content_Type="application/json").status == 200
        assert json.loads(container.log().splitlines()[0])["workers"] == 1
        assert peak_memory(container) < GIB
        assert container.execute("bash", "-c", "dmesg 2>/dev/null | grep -c 'oom-kill' || true") in ("", "0")


def test_pipeline_port_is_the_only_one(image: str, trained: Path) -> None:
    options = ("--env", "SAGEMAKER_BIND_TO_PORT=9876", "--env", "SAGEMAKER_SAFE_PORT_RANGE=9900-9999")
    with serving(image, trained / "model", options=options, port=9876) as container:
        assert container.request("/invocations", b"good", 9876, Content_Type="text/plain").status == 200
        code = (
            "import psutil; print(*{c.laddr.port for c in psutil.net_connections() if c.status == 'LISTEN'})"
        )
        assert container.execute("python", "-c", code) == "9876"


@pytest.fixture
def gpu_without_driver(tmp_path: Path) -> tuple[str, ...]:
    """Options for a container with a GPU on which CUDA cannot start."""
    program = tmp_path / "nvidia-smi"
    # The supervisor requests a list, Multi Model Server a table.
    listing = "echo 'GPU 0: Tesla V100-SXM2-16GB (UUID: GPU-0)'"
    program.write_text(f'#!/bin/sh\ncase "$*" in *csv*) echo index; echo 0 ;; *) {listing} ;; esac\n')
    program.chmod(0o755)
    return "--volume", f"{program}:/usr/local/bin/nvidia-smi:ro"


def test_broken_gpu_falls_back_to_cpu(image: str, trained: Path, gpu_without_driver: tuple[str, ...]) -> None:
    message = "cannot start CUDA on GPU 0; THE MODEL RUNS ON THE CPU"
    with serving(image, trained / "model", options=gpu_without_driver, expect=[message]) as container:
        assert container.predict("good").status == 200
        settings = json.loads(container.log().splitlines()[0])
        assert (settings["gpus"], settings["workers"]) == (1, 1)
        assert container.log().count(message) == 1
