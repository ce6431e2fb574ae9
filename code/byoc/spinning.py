"""OpenMP threads of training beside other programs."""

import os

import psutil

# Numbers of spins of an idle thread before it sleeps: libgomp's default, and one for a busy machine.
# https://gcc.gnu.org/onlinedocs/libgomp/GOMP_005fSPINCOUNT.html
_DEFAULT = 300_000
BOUND = 1_000


def bound_spinning() -> None:
    """Let idle threads sleep soon if other programs use half a CPU or more; call it before torch is imported.

    On an idle machine, the bound halves the speed of training; beside other programs, libgomp's default costs
    more (docs/benchmarks.md). Variables of the user take precedence. Child processes inherit the decision.
    """
    if "OMP_WAIT_POLICY" not in os.environ and "GOMP_SPINCOUNT" not in os.environ:
        busy_cpus = psutil.cpu_percent(0.1) / 100 * (os.cpu_count() or 1)
        os.environ["GOMP_SPINCOUNT"] = str(_DEFAULT if busy_cpus < 0.5 else BOUND)
