"""``benchmarks/run.sh fuzz``: 100,000 mostly invalid requests to the image.

The model is the small one of the artifact fixture. Exits with 1 after a fault.
"""

import argparse
import sys
from collections import Counter

from benchmarks.harness import ROOT, save
from tests.image import fuzz
from tests.image.campaign import GROWTH, Result, fuzz_container
from tests.image.containers import serving

MODEL = ROOT / "tests" / "support" / "artifact_format_1"


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="benchmarks/run.sh fuzz", description=__doc__)
    parser.add_argument("--image", default="sagemaker-sentiment-lstm", help="an image of build_and_push.sh")
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1, help="the same seed gives the same requests")
    parser.add_argument("--memory", default="2g", help="of the container")
    return parser.parse_args()


def summarize(result: Result) -> dict[str, object]:
    """The figures to save."""
    answers: dict[str, Counter[str]] = {}
    for (kind, status), number in sorted(result.report.answers.items()):
        answers.setdefault(kind, Counter())[str(status)] += number
    return {
        "requests": result.report.sent.total(),
        "seconds": round(result.seconds),
        "sent": dict(sorted(result.report.sent.items())),
        "answers": {kind: dict(counts) for kind, counts in answers.items()},
        "pings": result.pings,
        "memory_mib": {
            name: {"before": before, "after": after, "allowed_growth": GROWTH.get(name, 0)}
            for name, (before, after) in sorted(result.memory.items())
        },
        "faults": {fault: number for fault, (number, _) in result.report.faults.items()},
    }


def main() -> int:
    """Fuzz one container, and save."""
    arguments = parse_arguments()
    with serving(arguments.image, MODEL, options=("--memory", arguments.memory)) as container:
        result = fuzz_container(container, arguments.requests, arguments.seed)
    header = {"seed": arguments.seed, "memory": arguments.memory, "processes": fuzz.PROCESSES}
    save("fuzz", header | summarize(result))
    print(result.report.explain(), file=sys.stderr)
    return bool(result.report.faults)


if __name__ == "__main__":
    sys.exit(main())
