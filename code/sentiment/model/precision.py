"""The arithmetic of the network: what ``auto`` stands for, and what the hardware can do."""

from dataclasses import dataclass
from typing import Self

import torch

from byoc.errors import TrainingError

# What ``auto`` stands for on a GPU, by the lowest compute capability that a row holds for; the first row that
# fits counts. The order of speed is that of the peak rates in NVIDIA's data sheets, in TFLOP/s: V100 (7.0)
# fp16 125, fp32 16; T4 (7.5) fp16 65, fp32 8; A100 (8.0) bf16 and fp16 312, TF32 156, fp32 20. V100 and T4
# have no bf16; where there is a choice, bf16 needs no scaling of the loss.
_ON_GPU = (((8, 0), "bf16"), ((7, 0), "fp16"), ((0, 0), "fp32"))
# On a CPU: AMX multiplies bf16 matrices in tiles, and some AVX-512 CPUs have bf16 instructions. In bf16,
# preset=baseline trains 1.5 times as fast as in fp32, and the default model predicts 1.25 times as fast
# (benchmarks/results). Emulated bf16 on other AVX-512 CPUs gains little.
_ON_CPU = (("amx_bf16", "bf16"), ("avx512_bf16", "bf16"), (None, "fp32"))


# What autocast takes; fp32 is none.
DTYPES = {"fp16": torch.float16, "bf16": torch.bfloat16}


@dataclass(frozen=True, slots=True)
class Hardware:
    """What decides about arithmetic.

    Attributes:
        name: for people.
        compute_capability: of the GPU; None without one.
        cpu_features: of the CPU, as ``torch.cpu.get_capabilities`` names them; and ``onednn_bf16`` if
            oneDNN, which runs the LSTM there, can do with bf16.
    """

    name: str
    compute_capability: tuple[int, int] | None = None
    cpu_features: frozenset[str] = frozenset()

    @classmethod
    def from_device(cls, device: torch.device) -> Self:
        """The hardware behind a device of torch's."""
        if device.type == "cuda":
            capability = torch.cuda.get_device_capability(device)
            name = (
                f"{torch.cuda.get_device_name(device)} (compute capability {capability[0]}.{capability[1]})"
            )
            return cls(name, capability)
        found = torch.cpu.get_capabilities()
        features = {name for name, value in found.items() if value is True}
        if torch.ops.mkldnn._is_mkldnn_bf16_supported():
            features.add("onednn_bf16")
        return cls(f"{found['num_physical_cores']} cores of {found['cpu_name']}", None, frozenset(features))

    def resolve(self, precision: str) -> str:
        """The arithmetic that a hyperparameter asks for: fp32, fp16 or bf16.

        Raises:
            TrainingError: this hardware does not have it.
        """
        if precision == "auto":
            return self._best()
        if not self._has(precision):
            raise TrainingError(
                f"precision {precision} cannot be had on {self.name}: it needs {_NEEDS[precision]}\n"
                "use precision auto or fp32"
            )
        return precision

    def _best(self) -> str:
        if self.compute_capability is not None:
            capability = self.compute_capability
            return next(precision for lowest, precision in _ON_GPU if capability >= lowest)
        return next(precision for feature, precision in _ON_CPU if feature in (None, *self.cpu_features))

    def _has(self, precision: str) -> bool:
        if precision == "fp32":
            return True
        if self.compute_capability is not None:
            return self.compute_capability >= ((8, 0) if precision == "bf16" else (7, 0))
        return precision == "bf16" and "onednn_bf16" in self.cpu_features


_NEEDS = {
    "bf16": "a GPU of compute capability 8.0 (A100, A10G) or more, or a CPU with AVX-512",
    "fp16": "a GPU of compute capability 7.0 (V100, T4) or more",
}
