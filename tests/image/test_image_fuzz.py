"""Hostile requests: the server answers, stays healthy, and logs no content."""

import os
from pathlib import Path

from tests.image import fuzz
from tests.image.campaign import fuzz_container
from tests.image.containers import serving

COUNT = 2_000
# The memory of a small instance, so that Java's heap soon reaches its limit.
SMALL = ("--memory", "2g")


def test_server_survives_hostile_requests(image: str, trained: Path) -> None:
    """``FUZZ_SEED`` selects other requests."""
    seed = int(os.environ.get("FUZZ_SEED", "1"))
    with serving(image, trained / "model", options=SMALL) as container:
        result = fuzz_container(container, COUNT, seed)
    assert not result.report.faults, result.report.explain()
    assert result.report.sent.total() == COUNT
    assert result.pings > 0


def test_batch_transform_answers_each_record(image: str, trained: Path) -> None:
    with serving(image, trained / "model", options=("--env", "SAGEMAKER_BATCH=true")) as container:
        report = fuzz.run(container.address(), 400, seed=1, batch=True)
    assert not report.faults, report.explain()
    assert report.answers["body", 200] > report.answers["body", 400]
