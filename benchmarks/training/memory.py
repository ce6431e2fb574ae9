"""Peak memory of a job with default hyperparameters over the 25,000 reviews."""

import resource
import tempfile
from pathlib import Path

from benchmarks.harness import link_reviews, run_job, save

if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        link_reviews(Path(folder))
        run_job(Path(folder))
    peak_kib = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    save("memory", {"seed": 1, "peak_memory_mib": peak_kib // 1024})
