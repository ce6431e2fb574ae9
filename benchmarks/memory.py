"""The peak memory of the default job over the 25,000 real reviews."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.report import REVIEWS, ROOT, save


def main() -> None:
    """Run the default job, and report."""
    with tempfile.TemporaryDirectory() as base:
        channel = Path(base) / "input" / "data" / "training"
        channel.mkdir(parents=True)
        (channel / "reviews.csv").symlink_to(REVIEWS)
        job = subprocess.Popen(
            [sys.executable, ROOT / "code" / "train.py"],
            env=os.environ | {"SAGEMAKER_BASE_DIR": base},
        )
        _, status, usage = os.wait4(job.pid, 0)
        if status:
            raise SystemExit("the job failed")
    save("memory", {"seed": 1, "peak_memory_mib": usage.ru_maxrss // 1024})


if __name__ == "__main__":
    main()
