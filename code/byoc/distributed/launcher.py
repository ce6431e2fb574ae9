"""Training in several processes: torchrun starts them, and the one that calls it watches over them.

https://docs.pytorch.org/docs/stable/elastic/run.html
"""

import contextlib
import ctypes
import json
import logging
import os
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import torch
from torch.distributed import run as torchrun
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure

from byoc.distributed.heartbeat import Peers
from byoc.errors import LESS_MEMORY, HostError, HyperparameterError, explain, may_be_a_symptom
from byoc.opt_ml import Hosts
from byoc.signals import StopFlag

logger = logging.getLogger(__name__)

PORT = 7777
# What tells a process of torchrun's to stop. By SIGTERM torchrun ends the others when one has failed.
STOP_SIGNAL = signal.SIGUSR1

_PROGRAM = Path(__file__).resolve().parents[2] / "train.py"
# A process that dies takes its connections with it. Those at their other ends wait so long before they
# complain, so that the cause is heard first.
_SYMPTOM_SECONDS = 5.0


def is_worker() -> bool:
    """Whether torchrun has started this process."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def processes_per_host(wanted: int) -> int:
    """How many processes train on this host.

    Args:
        wanted: the hyperparameter; 0 for one a GPU, or one.

    Raises:
        HyperparameterError: there are fewer GPUs.
    """
    gpus = torch.cuda.device_count()
    if 0 < gpus < wanted:
        raise HyperparameterError(
            f"hyperparameter processes_per_host: {wanted} processes cannot share {gpus} GPUs; give less"
        )
    return wanted or max(1, gpus)


def run(arguments: Sequence[str], hosts: Hosts, processes: int, stop: StopFlag) -> None:
    """Train in so many processes on each host; returns when they have ended well, here and elsewhere.

    Raises:
        HostError: the job has failed, here or elsewhere; with the reason.
    """
    _set_environment(hosts, processes)
    with _temporary_folder() as folder, Peers(hosts) as peers:
        try:
            while not peers.wait(0.2):
                if stop.requested or peers.told_to_stop:
                    peers.stop()
                    logger.info("stopped while waiting for the other hosts: there is nothing to save")
                    return
            agent = _Agent([*_options(hosts, processes, folder), str(_PROGRAM), *arguments])
            agent.start()
            try:
                _watch(agent, peers, stop)
            finally:
                _send_to_workers(signal.SIGKILL)
            if agent.error is not None:
                raise HostError(_reason(agent.error))
        except BaseException as error:
            if peers.failure is None:
                peers.finish(explain(error))
            raise
        peers.finish()


def end_with_parent() -> None:
    """In a process that torchrun has started: do not outlive it, not even where it is killed."""
    # The system's own call, for which Python has no name: prctl(PR_SET_PDEATHSIG, SIGKILL).
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def report(error: BaseException) -> None:
    """In a process that torchrun has started: leave the reason of a failure for the one that watches."""
    if may_be_a_symptom(error):
        time.sleep(_SYMPTOM_SECONDS)
    content = {"message": explain(error), "timestamp": int(time.time())}
    Path(os.environ["TORCHELASTIC_ERROR_FILE"]).write_text(json.dumps(content), "utf-8")


def end() -> NoReturn:
    """In a process that torchrun has started: end at once, when all is saved.

    Threads of torch's gloo may still be at work, and now and then abort a process that ends in order:
    "terminate called without an active exception". For that a job would fail which is done.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def _temporary_folder() -> "tempfile.TemporaryDirectory[str]":
    # After a failure torchrun may still be writing into it.
    return tempfile.TemporaryDirectory(prefix="train-", ignore_cleanup_errors=True)


def _set_environment(hosts: Hosts, processes: int) -> None:
    """What the processes inherit."""
    cores = len(os.sched_getaffinity(0))
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, cores // processes)))
    interface = "lo" if len(hosts.names) == 1 else hosts.interface
    if interface and interface in [name for _, name in socket.if_nameindex()]:
        for library in ("GLOO", "NCCL"):
            os.environ.setdefault(f"{library}_SOCKET_IFNAME", interface)
    elif interface:
        logger.warning(
            "there is no network interface %s; going by the one that leads to the others", interface
        )


def _options(hosts: Hosts, processes: int, folder: str) -> list[str]:
    """Torchrun's options."""
    common = [f"--nproc-per-node={processes}", f"--log-dir={folder}", "--shutdown-timeout=10"]
    if len(hosts.names) == 1:
        return [*common, "--standalone", "--local-addr=127.0.0.1"]
    return [
        *common,
        f"--nnodes={len(hosts.names)}",
        f"--node-rank={hosts.position}",
        f"--master-addr={hosts.names[0]}",
        f"--master-port={PORT}",
    ]


class _Agent(threading.Thread):
    """torchrun in a thread, so that the main one is free for signals and for the other hosts.

    Attributes:
        error: what it ended with; None after a success.
    """

    def __init__(self, options: Sequence[str]) -> None:
        super().__init__(daemon=True)
        self.error: BaseException | None = None
        self._arguments = torchrun.parse_args(options)  # type: ignore[no-untyped-call]
        # It would tell in many lines, with tracebacks, what ``_reason`` tells in one.
        for name in logging.root.manager.loggerDict:
            if name.startswith("torch.distributed"):
                logging.getLogger(name).setLevel(logging.CRITICAL)

    def run(self) -> None:
        # Inherited by the processes: the signal waits until they are ready for it.
        signal.pthread_sigmask(signal.SIG_BLOCK, {STOP_SIGNAL})
        try:
            torchrun.run(self._arguments)  # type: ignore[no-untyped-call]
        except BaseException as error:  # the other thread raises it
            self.error = error


def _watch(agent: _Agent, peers: Peers, stop: StopFlag) -> None:
    """Until torchrun ends: pass a stop on, and look out for the other hosts.

    Raises:
        HostError: the job has failed on another host.
    """
    told: set[int] = set()
    is_passed_on = False
    while agent.is_alive():
        peers.check()
        if stop.requested and not is_passed_on:
            logger.info("told to stop; so are all processes and hosts now")
            peers.stop()
            is_passed_on = True
        if stop.requested or peers.told_to_stop:
            told |= _send_to_workers(STOP_SIGNAL, told)
        agent.join(0.2)


def _send_to_workers(number: signal.Signals, but: set[int] | None = None) -> set[int]:
    """Send a signal to all processes of torchrun's, but for some; returns to which."""
    children = [path.read_text().split() for path in Path("/proc/self/task").glob("*/children")]
    workers = {int(child) for found in children for child in found} - (but or set())
    for worker in workers:
        with contextlib.suppress(ProcessLookupError):
            os.kill(worker, number)
    return workers


def _reason(error: BaseException) -> str:
    """Why the processes of this host have failed."""
    if not isinstance(error, ChildFailedError):
        return explain(error)
    # Those that torchrun itself ended, after the first had failed, have no reason of their own.
    failures = {
        rank: f for rank, f in error.failures.items() if f.exitcode != -signal.SIGTERM
    } or error.failures
    rank = min(failures, key=lambda rank: failures[rank].timestamp)
    return _reason_of(rank, failures[rank])


def _reason_of(rank: int, failure: ProcessFailure) -> str:
    if failure.exitcode == -signal.SIGKILL:
        return f"process {rank} was killed (SIGKILL), most likely because memory ran out\n{LESS_MEMORY}"
    if failure.exitcode < 0:
        return f"process {rank} was killed by {failure.signal_name()}"
    return failure.message
