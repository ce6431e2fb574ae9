"""Settings of torch for the whole process."""

import torch


def set_up_torch(seed: int) -> None:
    """Seed torch and, without a GPU, make it deterministic for a given machine and number of threads.

    Call it before the first tensor operation. The CPU then treats denormal (extremely small) numbers, which
    slow it down several times, as zero; threads that exist already do not.
    """
    torch.set_flush_denormal(True)
    torch.manual_seed(seed)
    if torch.cuda.is_available():
        return
    torch.use_deterministic_algorithms(True)
    # Filling new memory only helps programs that read uninitialized memory; it takes a fifth of a step.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
