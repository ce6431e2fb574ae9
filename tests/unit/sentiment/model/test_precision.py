"""Precision by hardware."""

import pytest
import torch

from byoc.errors import TrainingError
from sentiment.model.precision import Hardware


def gpu(*capability: int) -> Hardware:
    return Hardware("a GPU", (capability[0], capability[1]))


def cpu(*features: str) -> Hardware:
    return Hardware("a CPU", None, frozenset(features))


@pytest.mark.parametrize(
    ("hardware", "expected"),
    [
        (gpu(6, 1), "fp32"),  # P40
        (gpu(7, 0), "fp16"),  # V100
        (gpu(7, 5), "fp16"),  # T4
        (gpu(8, 0), "bf16"),  # A100
        (gpu(8, 6), "bf16"),  # A10G
        (gpu(9, 0), "bf16"),  # H100
        (cpu("avx2"), "fp32"),
        (cpu("avx2", "avx512_f", "onednn_bf16"), "fp32"),
        (cpu("avx2", "avx512_bf16", "onednn_bf16"), "bf16"),
        (cpu("avx2", "avx512_bf16", "onednn_bf16", "amx_tile", "amx_bf16"), "bf16"),
    ],
)
def test_auto_is_fastest_precision(hardware: Hardware, expected: str) -> None:
    assert hardware.resolve("auto") == expected


@pytest.mark.parametrize(
    ("hardware", "precision"),
    [(gpu(7, 0), "bf16"), (gpu(6, 1), "fp16"), (cpu("avx2"), "bf16"), (cpu("onednn_bf16"), "fp16")],
)
def test_unsupported_precision_is_refused(hardware: Hardware, precision: str) -> None:
    with pytest.raises(TrainingError) as caught:
        hardware.resolve(precision)
    cause, remedy = str(caught.value).splitlines()
    assert cause.startswith(f"precision={precision} is not supported on {hardware.name}; it requires a GPU")
    assert remedy == "use precision=auto or precision=fp32"


@pytest.mark.parametrize(
    ("hardware", "precision"),
    [
        (gpu(6, 0), "fp32"),
        (gpu(7, 0), "fp16"),
        (gpu(8, 0), "fp16"),
        (gpu(8, 0), "bf16"),
        (cpu(), "fp32"),
        (cpu("onednn_bf16"), "bf16"),
    ],
)
def test_supported_precision_is_kept(hardware: Hardware, precision: str) -> None:
    assert hardware.resolve(precision) == precision


def test_cpu_has_name_and_features() -> None:
    hardware = Hardware.from_device(torch.device("cpu"))
    assert " cores of " in hardware.name
    assert "sse2" in hardware.cpu_features or "neon" in hardware.cpu_features
