"""Remove the files that a list of patterns names from site-packages: ``strip.py LIST SITE_PACKAGES``."""

import shutil
import sys
from pathlib import Path


def strip(patterns: list[str], folder: Path) -> None:
    """Remove the files and folders that match.

    Raises:
        ValueError: a pattern matches nothing, so the list is out of date.
    """
    for pattern in patterns:
        matches = sorted(folder.glob(pattern))
        if not matches:
            raise ValueError(f"{pattern} matches nothing in {folder}; remove it from the list")
        for path in matches:
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)


def main() -> None:
    """Strip the folder of the command line."""
    lines = Path(sys.argv[1]).read_text("utf-8").splitlines()
    try:
        strip([line for line in lines if line and not line.startswith("#")], Path(sys.argv[2]))
    except ValueError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
