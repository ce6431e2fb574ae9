"""Collectives of one process, and of three processes with gloo."""

from pathlib import Path

import numpy as np
import pytest
import torch

from byoc.distributed.process_group import SINGLE_PROCESS
from byoc.signals import StopFlag, Stopped
from tests.support.programs import run_processes

# Every process runs this program with another RANK; a failed assertion is its exit code.
THREE = """
import numpy as np
import torch
from torch import nn
from byoc.distributed.process_group import ProcessGroup
from byoc.signals import StopFlag, Stopped

process_group = ProcessGroup.init()
assert (process_group.size, process_group.local_size, process_group.host) == (3, 3, 0)
rank = process_group.rank

assert process_group.any(rank == 2)
assert not process_group.any(False)
mean, conditions = process_group.all_reduce_mean(torch.tensor(float(rank)), rank == 1, False)
assert mean == 1.0 and conditions == [True, False]

rows = np.arange(2 * rank, dtype=np.int32).reshape(-1, 2)  # 0, 1 and 2 rows
assert [array.tolist() for array in process_group.all_gather(rows)] == [[], [[0, 1]], [[0, 1], [2, 3]]]
assert process_group.concatenate(np.array([rank], np.uint64)).tolist() == [0, 1, 2]
assert process_group.all_gather(np.empty(0, np.int8))[2].tolist() == []

assert process_group.gather_bytes(b"x" * (rank + 1)) == [b"x", b"xx", b"xxx"]
assert process_group.broadcast(b"from 0" if rank == 0 else None) == b"from 0"
assert process_group.broadcast(None if rank == 0 else b"ignored") is None

shards = process_group.concatenate(process_group.shard(np.arange(7)))
assert sorted(shards) == list(range(7)) and len(process_group.shard(np.arange(7))) in (2, 3)
assert len(process_group.shard(np.arange(2))) == (0 if rank == 2 else 1)

torch.manual_seed(rank)
network = process_group.data_parallel(nn.Linear(1, 1, bias=False))
weight = network.module.weight
assert len(set(process_group.concatenate(weight.detach().numpy().ravel()).tolist())) == 1
(network(torch.tensor([[float(rank)]])) * 1.0).backward()
assert weight.grad.item() == 1.0

assert process_group.run_interruptible(StopFlag(), lambda: rank) == rank
stop = StopFlag()
stop.requested = rank == 1
try:
    process_group.run_interruptible(stop, lambda: rank)
    raise AssertionError
except Stopped:
    pass
process_group.destroy()
"""


def test_collectives_of_three_processes(tmp_path: Path) -> None:
    run_processes(THREE, tmp_path)


def test_collectives_of_one_process() -> None:
    assert SINGLE_PROCESS.any(True)
    assert SINGLE_PROCESS.all_reduce_mean(torch.tensor(0.5), True, False) == (0.5, (True, False))
    assert SINGLE_PROCESS.concatenate(np.arange(3)).tolist() == [0, 1, 2]
    assert SINGLE_PROCESS.gather_bytes(b"x") == [b"x"]
    assert SINGLE_PROCESS.broadcast(None) is None
    assert SINGLE_PROCESS.shard(np.arange(5)).tolist() == [0, 1, 2, 3, 4]
    SINGLE_PROCESS.destroy()


def test_stop_request_raises_stopped() -> None:
    stop = StopFlag()

    def work() -> int:
        stop.requested = True
        return 1

    with pytest.raises(Stopped):
        SINGLE_PROCESS.run_interruptible(stop, work)
