"""What has to be known about instance types: processors that the image has no code for, and drivers."""

import re

import click

# Arm processors: a "g" behind the generation, as in ml.m6g, ml.c7gn, ml.g5g.
_ARM = re.compile(r"ml\.[a-z]+\d+g")
# torch's builds for CUDA 12.6 end with Hopper.
_BLACKWELL = re.compile(r"ml\.(p6|g7)")
# Endpoints there have driver 470 (CUDA 11.4) unless an InferenceAmiVersion says otherwise. This one brings
# driver 550: https://docs.aws.amazon.com/sagemaker/latest/dg/inference-gpu-drivers.html
_OLD_DRIVER = re.compile(r"ml\.(p3|p3dn|g4dn|g5|p4d|p4de)\.")
_GPU = re.compile(r"ml\.[pg]\d")
_NEWER_DRIVER = "al2-ami-sagemaker-inference-gpu-3-1"


def check(instance_type: str) -> str:
    """The instance type, if the image can run there.

    Raises:
        click.UsageError: it has another processor than the image is built for.
    """
    if _ARM.match(instance_type):
        raise click.UsageError(f"{instance_type} has an Arm processor, and the image is built for x86_64")
    if _BLACKWELL.match(instance_type):
        click.echo(
            f"warning: {instance_type} has a GPU for which torch's builds for CUDA 12.6, "
            "which the image has by default, have no code",
            err=True,
        )
    return instance_type


def batch_ami(instance_type: str) -> str | None:
    """The TransformAmiVersion with a driver of CUDA 12; all GPUs have an older one by default."""
    return "al2-ami-sagemaker-batch-gpu-535" if _GPU.match(instance_type) else None


def inference_ami(instance_type: str) -> str | None:
    """The InferenceAmiVersion with a driver of CUDA 12, where the default one is older."""
    return _NEWER_DRIVER if _OLD_DRIVER.match(instance_type) else None
