"""Constraints of instance types: unsupported processors, and GPU driver versions."""

import re

import click

# Arm processors have a "g" after the generation: ml.m6g, ml.c7gn, ml.g5g; Grace is one too.
_ARM = re.compile(r"ml\.([a-z]+\d+g|p6e-gb)")
# torch's builds for CUDA 12.6 end with Hopper.
_BLACKWELL = re.compile(r"ml\.(p6|g7)")
# Endpoints on these have driver 470 (CUDA 11.4) unless InferenceAmiVersion selects a newer one:
# https://docs.aws.amazon.com/sagemaker/latest/dg/inference-gpu-drivers.html
_OLD_DRIVER = re.compile(r"ml\.(p3|p3dn|g4dn|g5|p4d|p4de)\.")
_GPU = re.compile(r"ml\.[pg]\d")
_NEWER_DRIVER = "al2-ami-sagemaker-inference-gpu-3-1"  # driver 550


def check(instance_type: str) -> None:
    """Refuse instance types that the image cannot run on.

    Raises:
        click.UsageError: the processor is not x86_64.
    """
    if _ARM.match(instance_type):
        raise click.UsageError(f"{instance_type} has an Arm processor; the image is built for x86_64")
    if _BLACKWELL.match(instance_type):
        click.echo(f"warning: the GPU of {instance_type} needs torch for a newer CUDA than 12.6", err=True)


def batch_ami(instance_type: str) -> str | None:
    """The TransformAmiVersion with a driver for CUDA 12; the default driver of every GPU is older."""
    return "al2-ami-sagemaker-batch-gpu-535" if _GPU.match(instance_type) else None


def inference_ami(instance_type: str) -> str | None:
    """The InferenceAmiVersion with a driver for CUDA 12, if the default driver is older."""
    return _NEWER_DRIVER if _OLD_DRIVER.match(instance_type) else None


def check_inference_ami(version: str | None) -> None:
    """Warn of a driver with which a container for CUDA 12 was seen to hang."""
    if version and "-gpu-4-1" in version:
        click.echo(f"warning: {version} is for CUDA 13; a CUDA 12 image may never start on it", err=True)


def cpu_cores(instance_type: str) -> int:
    """The virtual CPUs of an instance type, by its size."""
    size = re.search(r"\.(\d*)(x?large)$", instance_type)
    return (4 * int(size[1] or 1) if size[2] == "xlarge" else 2) if size else 1
