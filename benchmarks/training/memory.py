"""Peak memory of a job with default hyperparameters over the 25,000 reviews."""

import resource
import tempfile
from pathlib import Path

from benchmarks.harness import link_reviews, run_job, save


def main() -> None:
    """Run the job and save its peak memory."""
    with tempfile.TemporaryDirectory() as base:
        link_reviews(Path(base))
        run_job(Path(base))
    peak_kib = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    save("memory", {"seed": 1, "peak_memory_mib": peak_kib // 1024})


if __name__ == "__main__":
    main()
