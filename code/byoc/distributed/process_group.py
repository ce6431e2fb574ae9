"""The processes that train together, and what they tell each other; a job of one process talks to nobody."""

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

# Shards of very different sizes take very different times to read. That a process or a host has died is
# noticed long before, by launch.py.
_PATIENCE = timedelta(days=2)


@dataclass(frozen=True, slots=True)
class Ranks:
    """One process among all. Every method must be called by all of them, in the same order.

    Attributes:
        rank: of this process among all; rank 0 writes what the job leaves.
        size: processes in all.
        local_rank: of this process among those on its host.
        local_size: processes on its host.
        host: the host's place in the list of hosts, counted from 0.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    local_size: int = 1
    host: int = 0

    @classmethod
    def join(cls) -> Self:
        """Meet the others, as torchrun's environment tells; NCCL for what is on a GPU, gloo for the rest."""
        backend = "gloo"
        if torch.cuda.is_available():
            torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
            backend = "cpu:gloo,cuda:nccl"
        dist.init_process_group(backend, timeout=_PATIENCE)
        names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "GROUP_RANK")
        return cls(*(int(os.environ[name]) for name in names))

    def leave(self) -> None:
        """Part, when everybody is ready to."""
        if self.size > 1:
            self.any(False)
            dist.destroy_process_group()

    @property
    def device(self) -> torch.device:
        """What this process computes on: a GPU of its own, if the host has any."""
        return torch.device("cuda", self.local_rank) if torch.cuda.is_available() else torch.device("cpu")

    def unless_stopped(self, stop: StopFlag, work: Callable[[], R]) -> R:
        """The result of work in which the ranks do not talk, and which can be left at once.

        Raises:
            Stopped: any of the ranks was told to stop meanwhile.
        """
        result: list[R] = []
        with contextlib.suppress(Stopped), stop.interruptible():
            result.append(work())
        if self.any(not result or stop.requested):
            raise Stopped
        return result[0]

    def share(self, indices: NDArray[np.int64]) -> NDArray[np.int64]:
        """What this process takes of a batch: as many as the others, or one more, and about as long ones."""
        return indices[self.rank :: self.size]

    def parallel(self, network: nn.Module) -> nn.Module:
        """The network with everybody's gradients averaged; all begin with rank 0's weights."""
        if self.size == 1:
            return network
        return DistributedDataParallel(network, gradient_as_bucket_view=True)

    def any(self, condition: bool) -> bool:
        """Whether the condition is true anywhere."""
        return self.agree(torch.zeros(()), condition)[1][0]

    def agree(self, value: Tensor, *conditions: bool) -> tuple[float, Sequence[bool]]:
        """The mean of everybody's value, a scalar, and which conditions are true anywhere."""
        if self.size == 1:
            return value.item(), conditions
        values = torch.tensor([0.0, *map(float, conditions)], device=value.device)
        values[0] = value / self.size
        dist.all_reduce(values)
        mean, *found = values.tolist()
        return mean, [count > 0 for count in found]

    def gather(self, array: NDArray[T]) -> list[NDArray[T]]:
        """Everybody's array, in the order of the ranks. They may differ in their first dimension."""
        if self.size == 1:
            return [array]
        sizes = [torch.zeros(1, dtype=torch.int64) for _ in range(self.size)]
        dist.all_gather(sizes, torch.tensor([array.nbytes]))
        mine = torch.zeros(max(1, *map(int, sizes)), dtype=torch.uint8)
        mine[: array.nbytes] = _to_tensor(array.tobytes())
        found = [torch.empty_like(mine) for _ in range(self.size)]
        dist.all_gather(found, mine)
        contents = [tensor.numpy()[: int(size)] for tensor, size in zip(found, sizes, strict=True)]
        return [content.view(array.dtype).reshape(-1, *array.shape[1:]) for content in contents]

    def concatenate(self, array: NDArray[T]) -> NDArray[T]:
        """Everybody's arrays as one, in the order of the ranks."""
        return array if self.size == 1 else np.concatenate(self.gather(array))

    def collect(self, content: bytes) -> list[bytes]:
        """Everybody's bytes, none of them empty, in the order of the ranks; for rank 0 only."""
        if self.rank > 0:
            dist.send(torch.tensor([len(content)]), 0)
            dist.send(_to_tensor(content), 0)
            return []
        found = [content]
        for rank in range(1, self.size):
            size = torch.zeros(1, dtype=torch.int64)
            dist.recv(size, rank)
            tensor = torch.empty(int(size), dtype=torch.uint8)
            dist.recv(tensor, rank)
            found.append(tensor.numpy().tobytes())
        return found

    def broadcast(self, content: bytes | None) -> bytes | None:
        """What rank 0 has, not empty, or None; the others' argument is passed over."""
        if self.size == 1:
            return content
        size = torch.tensor([len(content or b"")])
        dist.broadcast(size, 0)
        if int(size) == 0:
            return None
        tensor = (
            _to_tensor(content) if self.rank == 0 and content else torch.empty(int(size), dtype=torch.uint8)
        )
        dist.broadcast(tensor, 0)
        return tensor.numpy().tobytes()


def _to_tensor(content: bytes) -> Tensor:
    """[bytes] uint8."""
    return torch.from_numpy(np.frombuffer(content, np.uint8).copy())


ALONE = Ranks()
