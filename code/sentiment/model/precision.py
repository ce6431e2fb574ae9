"""Precision of the network: the meaning of ``auto``, and support by the hardware."""

from dataclasses import dataclass
from typing import Self

import torch

from byoc.errors import TrainingError

# Precision for ``auto`` on a GPU, by minimum compute capability; the first match counts. It is the fastest by
# the peak rates in NVIDIA's data sheets, in TFLOP/s: V100 (7.0) fp16 125, fp32 16; T4 (7.5) fp16 65, fp32 8;
# A100 (8.0) bf16 and fp16 312, TF32 156, fp32 20. V100 and T4 lack bf16, which needs no loss scaling.
_ON_GPU = (((8, 0), "bf16"), ((7, 0), "fp16"), ((0, 0), "fp32"))
# On a CPU: AMX multiplies bf16 matrices in tiles, and some AVX-512 CPUs have bf16 instructions. In bf16,
# preset=baseline trains 1.5 times as fast as in fp32, and the default model predicts 1.25 times as fast
# (benchmarks/results). Emulated bf16 on other AVX-512 CPUs gains little.
_ON_CPU = (("amx_bf16", "bf16"), ("avx512_bf16", "bf16"), (None, "fp32"))

# For autocast, which fp32 does without.
DTYPES = {"fp16": torch.float16, "bf16": torch.bfloat16}


@dataclass(frozen=True, slots=True)
class Hardware:
    """Properties of a device that determine its precisions.

    Attributes:
        name: description for logs and errors.
        compute_capability: of the GPU; None for a CPU.
        cpu_features: names from ``torch.cpu.get_capabilities``, and ``onednn_bf16`` if oneDNN, which runs the
            LSTM on CPUs, supports bf16.
    """

    name: str
    compute_capability: tuple[int, int] | None = None
    cpu_features: frozenset[str] = frozenset()

    @classmethod
    def from_device(cls, device: torch.device) -> Self:
        """The hardware of a torch device."""
        if device.type == "cuda":
            capability = torch.cuda.get_device_capability(device)
            name = (
                f"{torch.cuda.get_device_name(device)} (compute capability {capability[0]}.{capability[1]})"
            )
            return cls(name, capability)
        capabilities = torch.cpu.get_capabilities()
        features = {name for name, value in capabilities.items() if value is True}
        if torch.ops.mkldnn._is_mkldnn_bf16_supported():
            features.add("onednn_bf16")
        return cls(
            f"{capabilities['num_physical_cores']} cores of {capabilities['cpu_name']}",
            None,
            frozenset(features),
        )

    def resolve(self, precision: str) -> str:
        """The precision for a hyperparameter: fp32, fp16 or bf16.

        Raises:
            TrainingError: the hardware does not support it.
        """
        if precision == "auto":
            return self._best()
        if not self._supports(precision):
            raise TrainingError(
                f"precision={precision} is not supported on {self.name}; "
                f"it requires {_REQUIREMENTS[precision]}\n"
                "use precision=auto or precision=fp32"
            )
        return precision

    def _best(self) -> str:
        if self.compute_capability is not None:
            capability = self.compute_capability
            return next(precision for lowest, precision in _ON_GPU if capability >= lowest)
        return next(precision for feature, precision in _ON_CPU if feature in (None, *self.cpu_features))

    def _supports(self, precision: str) -> bool:
        if precision == "fp32":
            return True
        if self.compute_capability is not None:
            return self.compute_capability >= ((8, 0) if precision == "bf16" else (7, 0))
        return precision == "bf16" and "onednn_bf16" in self.cpu_features


_REQUIREMENTS = {
    "bf16": "a GPU of compute capability 8.0 (A100, A10G) or more, or a CPU with AVX-512",
    "fp16": "a GPU of compute capability 7.0 (V100, T4) or more",
}
