"""What the processes of a job tell each other: one alone, and three by gloo."""

from pathlib import Path

import numpy as np
import pytest
import torch

from byoc.distributed.process_group import ALONE
from byoc.signals import StopFlag, Stopped
from tests.support.programs import run_ranks

# Every process runs this, with its own RANK; a failed assertion is its exit code.
THREE = """
import numpy as np
import torch
from torch import nn
from byoc.distributed.process_group import Ranks
from byoc.signals import StopFlag, Stopped

ranks = Ranks.join()
assert (ranks.size, ranks.local_size, ranks.host) == (3, 3, 0)
me = ranks.rank

assert ranks.any(me == 2)
assert not ranks.any(False)
mean, conditions = ranks.agree(torch.tensor(float(me)), me == 1, False)
assert mean == 1.0 and conditions == [True, False]

rows = np.arange(2 * me, dtype=np.int32).reshape(-1, 2)  # 0, 1 and 2 rows
assert [found.tolist() for found in ranks.gather(rows)] == [[], [[0, 1]], [[0, 1], [2, 3]]]
assert ranks.concatenate(np.array([me], np.uint64)).tolist() == [0, 1, 2]
assert ranks.gather(np.empty(0, np.int8))[2].tolist() == []

assert ranks.collect(b"x" * (me + 1)) == ([b"x", b"xx", b"xxx"] if me == 0 else [])
assert ranks.broadcast(b"from 0" if me == 0 else None) == b"from 0"
assert ranks.broadcast(None if me == 0 else b"passed over") is None

shares = ranks.concatenate(ranks.share(np.arange(7)))
assert sorted(shares) == list(range(7)) and len(ranks.share(np.arange(7))) in (2, 3)
assert len(ranks.share(np.arange(2))) == (0 if me == 2 else 1)

torch.manual_seed(me)
network = ranks.parallel(nn.Linear(1, 1, bias=False))
weight = network.module.weight
assert len(set(ranks.concatenate(weight.detach().numpy().ravel()).tolist())) == 1
(network(torch.tensor([[float(me)]])) * 1.0).backward()
assert weight.grad.item() == 1.0

assert ranks.unless_stopped(StopFlag(), lambda: me) == me
stop = StopFlag()
stop.requested = me == 1
try:
    ranks.unless_stopped(stop, lambda: me)
    raise AssertionError
except Stopped:
    pass
ranks.leave()
"""


def test_three_understand_each_other(tmp_path: Path) -> None:
    run_ranks(THREE, tmp_path)


def test_one_alone_needs_nobody() -> None:
    assert ALONE.any(True)
    assert ALONE.agree(torch.tensor(0.5), True, False) == (0.5, (True, False))
    assert ALONE.concatenate(np.arange(3)).tolist() == [0, 1, 2]
    assert ALONE.collect(b"x") == [b"x"]
    assert ALONE.broadcast(None) is None
    assert ALONE.share(np.arange(5)).tolist() == [0, 1, 2, 3, 4]
    ALONE.leave()


def test_stop_ends_work_and_is_told() -> None:
    stop = StopFlag()

    def work() -> int:
        stop.requested = True
        return 1

    with pytest.raises(Stopped):
        ALONE.unless_stopped(stop, work)
