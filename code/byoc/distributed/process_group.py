"""Collectives over all training processes; no-ops in a single-process job."""

import contextlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Self, TypeVar

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from byoc.signals import StopFlag, Stopped

T = TypeVar("T", bound=np.generic)
R = TypeVar("R")

# Reading shards of very different sizes takes very different times. The launcher notices a lost process or
# host long before.
_TIMEOUT = timedelta(days=2)


@dataclass(frozen=True, slots=True)
class ProcessGroup:
    """One of the training processes. All processes must call the methods in the same order.

    Attributes:
        rank: index of this process; rank 0 writes the results.
        size: number of processes.
        local_rank: index of this process on its host.
        local_size: number of processes on its host.
        host: index of the host in the list of hosts.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    local_size: int = 1
    host: int = 0

    @classmethod
    def init(cls) -> Self:
        """Join the group described by torchrun's environment: NCCL for GPU tensors, gloo for CPU tensors."""
        backend = "gloo"
        if torch.cuda.is_available():
            torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
            backend = "cpu:gloo,cuda:nccl"
        dist.init_process_group(backend, timeout=_TIMEOUT)
        names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "GROUP_RANK")
        return cls(*(int(os.environ[name]) for name in names))

    def destroy(self) -> None:
        """Leave the group after all processes have arrived here."""
        if self.size > 1:
            self.any(False)
            dist.destroy_process_group()

    @property
    def device(self) -> torch.device:
        """The device of this process: its GPU, or the CPU on a host without GPUs."""
        return torch.device("cuda", self.local_rank) if torch.cuda.is_available() else torch.device("cpu")

    def run_interruptible(self, stop: StopFlag, work: Callable[[], R]) -> R:
        """The result of work that makes no collective call and may be abandoned at any point.

        Raises:
            Stopped: a stop was requested on any process.
        """
        result: list[R] = []
        with contextlib.suppress(Stopped), stop.interruptible():
            result.append(work())
        if self.any(not result or stop.requested):
            raise Stopped
        return result[0]

    def shard(self, indices: NDArray[np.int64]) -> NDArray[np.int64]:
        """The slice of a batch for this process; sizes differ by at most one."""
        return indices[self.rank :: self.size]

    def data_parallel(self, network: nn.Module) -> nn.Module:
        """The network with gradients averaged over all processes; all start from rank 0's weights."""
        if self.size == 1:
            return network
        return DistributedDataParallel(network, gradient_as_bucket_view=True)

    def any(self, condition: bool) -> bool:
        """Whether the condition is true on any process."""
        return self.all_reduce_mean(torch.zeros(()), condition)[1][0]

    def all_reduce_mean(self, value: Tensor, *conditions: bool) -> tuple[float, Sequence[bool]]:
        """The mean of a scalar over all processes, and for each condition whether it is true on any."""
        if self.size == 1:
            return value.item(), conditions
        values = torch.tensor([0.0, *map(float, conditions)], device=value.device)
        values[0] = value / self.size
        dist.all_reduce(values)
        mean, *counts = values.tolist()
        return mean, [count > 0 for count in counts]

    def all_gather(self, array: NDArray[T]) -> list[NDArray[T]]:
        """The arrays of all processes, by rank. Their first dimensions may differ."""
        if self.size == 1:
            return [array]
        sizes = [torch.zeros(1, dtype=torch.int64) for _ in range(self.size)]
        dist.all_gather(sizes, torch.tensor([array.nbytes]))
        buffer = torch.zeros(max(1, *map(int, sizes)), dtype=torch.uint8)
        buffer[: array.nbytes] = _to_tensor(array.tobytes())
        buffers = [torch.empty_like(buffer) for _ in range(self.size)]
        dist.all_gather(buffers, buffer)
        contents = [tensor.numpy()[: int(size)] for tensor, size in zip(buffers, sizes, strict=True)]
        return [content.view(array.dtype).reshape(-1, *array.shape[1:]) for content in contents]

    def concatenate(self, array: NDArray[T]) -> NDArray[T]:
        """The arrays of all processes, concatenated by rank."""
        return array if self.size == 1 else np.concatenate(self.all_gather(array))

    def gather_bytes(self, content: bytes) -> list[bytes]:
        """The contents of all processes, by rank."""
        return [array.tobytes() for array in self.all_gather(np.frombuffer(content, np.uint8))]

    def broadcast(self, content: bytes | None) -> bytes | None:
        """Rank 0's content, which is not empty, or None; the argument of the other processes is ignored."""
        if self.size == 1:
            return content
        size = torch.tensor([len(content or b"")])
        dist.broadcast(size, 0)
        tensor = _to_tensor(content if self.rank == 0 and content else bytes(int(size)))
        dist.broadcast(tensor, 0)
        return tensor.numpy().tobytes() or None


def _to_tensor(content: bytes) -> Tensor:
    return torch.from_numpy(np.frombuffer(content, np.uint8).copy())


SINGLE_PROCESS = ProcessGroup()
