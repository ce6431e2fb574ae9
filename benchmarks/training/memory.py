"""Peak memory of a job with default hyperparameters over the 25,000 reviews."""

import os
import subprocess
import tempfile
from pathlib import Path

from benchmarks.harness import job_environment, link_reviews, save, train_command


def main() -> None:
    """Run the job and save its peak memory."""
    with tempfile.TemporaryDirectory() as base:
        link_reviews(Path(base))
        job = subprocess.Popen(train_command(), env=job_environment(Path(base)))
        _, status, usage = os.wait4(job.pid, 0)
    if status:
        raise SystemExit("error: the job failed; its messages are above")
    save("memory", {"seed": 1, "peak_memory_mib": usage.ru_maxrss // 1024})


if __name__ == "__main__":
    main()
