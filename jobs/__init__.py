"""Train and deploy on Amazon SageMaker with boto3: ``python -m jobs --help``.

Each command has a module of its name. ``account``, ``image`` and ``role`` look up parameters of a request,
``aws_request`` validates, prints and sends it, and ``wait`` watches the resource that it creates.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

# Hyperparameters and data are checked before any charges, by the code that runs in the image.
sys.path.insert(0, str(ROOT / "code"))
