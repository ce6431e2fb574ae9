"""OpenMP threads on a busy machine: throughput of an LSTM beside other programs, by spinning and threads.

A thread that waits for the others of its process spins for a while before it sleeps. On a busy machine it
spins on the CPU that the awaited thread needs. Needs root: the idle cases run with real-time priority, so
that other programs of the machine do not count.
"""

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping
from typing import Any

import torch

from benchmarks.harness import ROOT, ROUNDS, save
from sentiment.model.precision import DTYPES, Hardware

SECONDS = 2.0
# The LSTM of a training step with the default hyperparameters.
BATCH, WORDS, SIZE = 64, 240, 128
# libgomp's default (300,000 spins), both standard remedies, and numbers of spins.
SPINNING: dict[str, dict[str, str]] = {
    "default": {"GOMP_SPINCOUNT": "", "OMP_WAIT_POLICY": ""},
    "passive": {"GOMP_SPINCOUNT": "", "OMP_WAIT_POLICY": "PASSIVE"},
    **{f"spins {n}": {"GOMP_SPINCOUNT": str(n), "OMP_WAIT_POLICY": ""} for n in (1_000, 10_000, 100_000)},
}
DTYPE = DTYPES.get(Hardware.from_device(torch.device("cpu")).resolve("auto"))
BUSY_LOOP = [sys.executable, "-c", "while True: pass"]


def work(mode: str, start: float) -> float:
    """Reviews per second that an LSTM trains on or predicts, from ``start`` (time since 1970) on."""
    lstm = torch.nn.LSTM(SIZE, SIZE, batch_first=True)
    optimizer = torch.optim.SGD(lstm.parameters(), 0.01)
    reviews = torch.randn(BATCH, WORDS, SIZE)

    if mode.startswith("idle"):
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))

    def step() -> None:
        with torch.set_grad_enabled(mode.endswith("train")), torch.autocast("cpu", DTYPE):
            loss = lstm(reviews)[0].float().mean()
        if mode.endswith("train"):
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    step()
    time.sleep(max(0.0, start - time.time()))
    count, begin = 0, time.monotonic()
    while time.monotonic() - begin < SECONDS:
        step()
        count += BATCH
    return count / (time.monotonic() - begin)


def measure(mode: str, variables: Mapping[str, str], programs: int = 1, busy_loops: int = 0) -> int:
    """Reviews per second, summed over ``programs`` processes, beside ``busy_loops`` other processes."""
    start = time.time() + 4 + 3 * programs  # to import torch
    command = [sys.executable, "-m", "benchmarks.training.threads", mode, str(start)]
    loops = [subprocess.Popen(BUSY_LOOP) for _ in range(busy_loops)]
    environment = {k: v for k, v in (os.environ | variables).items() if v}
    running = [
        subprocess.Popen(command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        for _ in range(programs)
    ]
    total = sum(float(process.communicate()[0]) for process in running)
    for loop in loops:
        loop.kill()
        loop.wait()
    return round(total)


def main() -> None:
    """Measure all cases in turn, ``ROUNDS`` times, and save the medians."""
    cpus = len(os.sched_getaffinity(0))
    every, single = {"OMP_NUM_THREADS": str(cpus)}, {"OMP_NUM_THREADS": "1"}
    cases: dict[str, tuple[str, dict[str, str], int, int]] = {}
    remedies = {name: every | spinning for name, spinning in SPINNING.items()} | {"1 thread": single}
    for name, variables in remedies.items():
        cases[f"training, idle, {name}"] = ("idle-train", variables, 1, 0)
        cases[f"training, shared with one busy loop, {name}"] = ("train", variables, 1, 1)
        cases[f"training, oversubscribed by a second training, {name}"] = ("train", variables, 2, 0)
    for name, threads in ((f"{cpus} threads", every), ("1 thread", single)):
        for models in (1, 2):
            spinning = SPINNING["default" if threads is every else "spins 1000"]
            cases[f"predictions, {models} busy models, {name}"] = ("predict", threads | spinning, models, 0)
    rates: dict[str, list[int]] = {name: [] for name in cases}
    for _ in range(ROUNDS):
        for name, case in cases.items():
            rates[name].append(measure(*case))
    medians: dict[str, Any] = {name: round(statistics.median(rate)) for name, rate in rates.items()}
    save("threads", {"reviews_per_second": medians, "rounds": rates})


if __name__ == "__main__":
    if len(sys.argv) == 3:
        print(work(sys.argv[1], float(sys.argv[2])))
    else:
        main()
