"""Constraints of instance types."""

import click
import pytest

from jobs.instances import check, inference_ami


@pytest.mark.parametrize(
    "name", ["ml.m6g.large", "ml.c7gn.xlarge", "ml.r6gd.large", "ml.g5g.xlarge", "ml.p6e-gb200.36xlarge"]
)
def test_arm_instance_is_refused(name: str) -> None:
    with pytest.raises(click.UsageError, match="Arm processor"):
        check(name)


@pytest.mark.parametrize(
    "name", ["ml.p3.2xlarge", "ml.g4dn.xlarge", "ml.g5.xlarge", "ml.m5.large", "ml.p5.48xlarge"]
)
def test_supported_instance_prints_no_warning(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    check(name)
    assert capsys.readouterr().err == ""


def test_unsupported_gpu_prints_warning(capsys: pytest.CaptureFixture[str]) -> None:
    check("ml.p6-b200.48xlarge")
    assert "needs torch for a newer CUDA" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "is_newer"),
    [
        ("ml.p3.2xlarge", True),
        ("ml.g4dn.xlarge", True),
        ("ml.p4de.24xlarge", True),
        ("ml.g6.xlarge", False),  # driver 535 by default
        ("ml.p5.48xlarge", False),
        ("ml.m5.large", False),
    ],
)
def test_inference_ami_replaces_cuda_11_driver(name: str, is_newer: bool) -> None:
    assert inference_ami(name) == ("al2-ami-sagemaker-inference-gpu-3-1" if is_newer else None)
