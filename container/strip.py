"""Remove from site-packages what a list of patterns names: ``strip.py LIST SITE_PACKAGES``."""

import shutil
import sys
from pathlib import Path


def strip(patterns: list[str], folder: Path) -> None:
    """Remove what the patterns find.

    Raises:
        ValueError: a pattern finds nothing, so that the list is out of date.
    """
    for pattern in patterns:
        found = sorted(folder.glob(pattern))
        if not found:
            raise ValueError(f"{pattern} finds nothing in {folder}; take it off the list")
        for path in found:
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)


def main() -> None:
    """Strip as the command line says."""
    lines = Path(sys.argv[1]).read_text("utf-8").splitlines()
    try:
        strip([line for line in lines if line and not line.startswith("#")], Path(sys.argv[2]))
    except ValueError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
