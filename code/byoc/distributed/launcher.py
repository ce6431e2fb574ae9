"""Training in several processes, which torchrun starts and this process supervises.

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
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

from byoc.distributed.heartbeat import HeartbeatMonitor
from byoc.errors import LESS_MEMORY, HostError, HyperparameterError, explain, may_be_a_symptom
from byoc.opt_ml import Hosts
from byoc.signals import StopFlag

logger = logging.getLogger(__name__)

PORT = 7777
# Requests a stop from a worker. SIGTERM is taken: torchrun ends the other workers with it after a failure.
STOP_SIGNAL = signal.SIGUSR1

# Set for the workers, which are children of this process. Not torchrun's variables, because a cluster or a
# notebook may have set those.
_PARENT = "TRAIN_LAUNCHER_PID"
_PROGRAM = Path(__file__).resolve().parents[2] / "train.py"
# A worker that dies breaks its connections. Workers that fail because of that report later than the cause.
_SYMPTOM_SECONDS = 5.0


def is_worker() -> bool:
    """Whether this process is a worker, that is, was started by ``run``."""
    return os.environ.get(_PARENT) == str(os.getppid())


def processes_per_host(count: int) -> int:
    """The number of workers on this host, from the hyperparameter; 0 means one per GPU, or one on a CPU.

    Raises:
        HyperparameterError: the host has GPUs, but fewer.
    """
    gpus = torch.cuda.device_count()
    if 0 < gpus < count:
        raise HyperparameterError(
            f"hyperparameter processes_per_host: {count} processes need {count} GPUs, this host has {gpus}; "
            "set 0 for one process per GPU"
        )
    return count or max(1, gpus)


def run(arguments: Sequence[str], hosts: Hosts, processes: int, stop: StopFlag) -> None:
    """Train in ``processes`` workers per host; returns after success on all hosts.

    Raises:
        HostError: the job failed on any host; the message is the reason.
    """
    _set_environment(hosts, processes)
    # After a failure, torchrun may still write into it.
    temporary = tempfile.TemporaryDirectory(prefix="train-", ignore_cleanup_errors=True)
    with temporary as folder, HeartbeatMonitor(hosts) as monitor:
        try:
            while not monitor.wait(0.2):
                if stop.requested or monitor.stop_requested:
                    monitor.request_stop()
                    monitor.finish()
                    stop.requested = True  # on any host: the first one delivers an earlier model then
                    logger.info("stopped while waiting for the other hosts: there is nothing to save")
                    return
            agent = _Agent([*_options(hosts, processes, folder), str(_PROGRAM), *arguments])
            agent.start()
            try:
                _supervise(agent, monitor, stop)
            finally:
                _signal_workers(signal.SIGKILL)
            if agent.error is not None:
                raise HostError(_reason(agent.error))
        except BaseException as error:
            if monitor.failure is None:
                monitor.finish(explain(error))
            raise
        monitor.finish()


def end_with_parent() -> None:
    """Kill this worker when its parent ends, even if the parent is killed."""
    # prctl(PR_SET_PDEATHSIG, SIGKILL), for which Python has no function.
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def report(error: BaseException) -> None:
    """Report a worker's failure to its parent, through torchrun's error file."""
    if may_be_a_symptom(error):
        time.sleep(_SYMPTOM_SECONDS)
    content = {"message": explain(error), "timestamp": int(time.time())}
    Path(os.environ["TORCHELASTIC_ERROR_FILE"]).write_text(json.dumps(content), "utf-8")


def end(code: int = 0) -> NoReturn:
    """Exit a worker without Python's clean-up.

    Threads of gloo that are still running occasionally abort the clean-up ("terminate called without an
    active exception"), which would fail a finished job or hide the reason of a failure.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _set_environment(hosts: Hosts, processes: int) -> None:
    """Set the variables that the workers inherit."""
    cores = len(os.sched_getaffinity(0))
    os.environ[_PARENT] = str(os.getpid())
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, cores // processes)))
    interface = "lo" if len(hosts.names) == 1 else hosts.interface
    if interface and interface in [name for _, name in socket.if_nameindex()]:
        for library in ("GLOO", "NCCL"):
            os.environ.setdefault(f"{library}_SOCKET_IFNAME", interface)
    elif interface:
        logger.warning("no network interface %s; using the one that routes to the other hosts", interface)


def _options(hosts: Hosts, processes: int, folder: str) -> list[str]:
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
    """torchrun in a thread; the main thread handles signals and the heartbeat.

    Attributes:
        error: the exception that ended it; None after success.
    """

    def __init__(self, options: Sequence[str]) -> None:
        super().__init__(daemon=True)
        self.error: BaseException | None = None
        self._arguments = torchrun.parse_args(options)  # type: ignore[no-untyped-call]
        # torchrun logs tracebacks of many lines; ``_reason`` is one line.
        for name in logging.root.manager.loggerDict:
            if name.startswith("torch.distributed"):
                logging.getLogger(name).setLevel(logging.CRITICAL)

    def run(self) -> None:
        # Workers inherit the mask: the signal stays pending until they listen.
        signal.pthread_sigmask(signal.SIG_BLOCK, {STOP_SIGNAL})
        try:
            torchrun.run(self._arguments)  # type: ignore[no-untyped-call]
        except BaseException as error:  # the main thread raises it
            self.error = error


def _supervise(agent: _Agent, monitor: HeartbeatMonitor, stop: StopFlag) -> None:
    """Forward stop requests to workers and hosts until torchrun ends; ``stop`` then has those of all hosts.

    Raises:
        HostError: the job failed on another host.
    """
    signaled: set[int] = set()
    is_forwarded = False
    while agent.is_alive():
        monitor.check()
        if stop.requested and not is_forwarded:
            logger.info("stop requested; forwarding it to all processes and hosts")
            monitor.request_stop()
            is_forwarded = True
        if stop.requested or monitor.stop_requested:
            signaled |= _signal_workers(STOP_SIGNAL, signaled)
        agent.join(0.2)
    stop.requested |= monitor.stop_requested


def _signal_workers(number: signal.Signals, skip: set[int] | None = None) -> set[int]:
    """Send a signal to the workers not in ``skip``; returns their process ids."""
    children = " ".join(path.read_text() for path in Path("/proc/self/task").glob("*/children"))
    workers = {int(child) for child in children.split()} - (skip or set())
    for worker in workers:
        with contextlib.suppress(ProcessLookupError):
            os.kill(worker, number)
    return workers


def _reason(error: BaseException) -> str:
    """Why the workers of this host failed: the failure of the first."""
    if not isinstance(error, ChildFailedError):
        return explain(error)
    # After the first failure, torchrun ends the other workers with SIGTERM.
    rank, failure = min(
        error.failures.items(), key=lambda item: (item[1].exitcode == -signal.SIGTERM, item[1].timestamp)
    )
    if failure.exitcode == -signal.SIGKILL:
        return f"process {rank} was killed (SIGKILL), most likely because memory ran out\n{LESS_MEMORY}"
    if failure.exitcode < 0:
        return f"process {rank} was killed by {failure.signal_name()}"
    return failure.message
