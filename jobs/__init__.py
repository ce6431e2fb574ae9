"""The SageMaker side of the project, in boto3: ``python -m jobs --help``.

A module a command; beside them ``account``, ``image`` and ``role`` find what a request needs, ``request``
checks, shows and sends it, and ``wait`` watches what it has started.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

# The package that runs in the image checks hyperparameters and reviews here, before anything is paid for.
sys.path.insert(0, str(ROOT / "code"))
