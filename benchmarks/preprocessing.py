"""How fast a review becomes words: the shipped text processing against its plain definition.

Each side handles the same 25,000 real reviews, stop words left out, on one core, in a fresh process, so that
nothing is warm. The sides take turns; the figure is the median of the rounds' ratios.
"""

import csv
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

from benchmarks.report import REVIEWS, ROOT, save

ROUNDS = 3


def measure(side: str) -> float:
    """Reviews per second of one side, in this process."""
    with REVIEWS.open(newline="", encoding="utf-8") as stream:
        texts = [row["text"] for row in csv.DictReader(stream)]
    sys.path[:0] = [str(ROOT / "code"), str(ROOT / "tests")]
    from sentiment.text.tokenizer import stop_words, words  # noqa: PLC0415
    from tests.support.reference_text import reference_words  # noqa: PLC0415  # importing is not measured

    to_words: Callable[..., list[str]] = words if side == "shipped" else reference_words
    leave_out = stop_words("all")
    start = time.perf_counter()
    for text in texts:
        to_words(text, leave_out)
    return len(texts) / (time.perf_counter() - start)


def main() -> None:
    """Take turns, and report."""
    rates: dict[str, list[float]] = {"shipped": [], "definition": []}
    for _ in range(ROUNDS):
        for side, found in rates.items():
            command = [sys.executable, "-m", "benchmarks.preprocessing", side]
            output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            found.append(float(output))
    ratios = [shipped / plain for shipped, plain in zip(*rates.values(), strict=True)]
    save(
        "preprocessing",
        {
            "reviews": 25_000,
            "reviews_per_second": {side: [round(rate) for rate in found] for side, found in rates.items()},
            "ratio": round(statistics.median(ratios), 1),
        },
    )


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(measure(sys.argv[1]))
    else:
        main()
