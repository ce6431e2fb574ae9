"""The container side: everything a model needs from SageMaker's container, and nothing about any model."""

import os

if "OMP_WAIT_POLICY" not in os.environ:
    # Before torch is imported: how long its idle threads spin before they sleep. The default is 300 times as
    # long, which makes it ten times slower beside another program (benchmarks/results/threads.json).
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
