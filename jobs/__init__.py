"""Train and deploy on Amazon SageMaker with boto3: ``python -m jobs --help``.

Each command has a module of its name. ``account``, ``image`` and ``role`` look up parameters of a request,
``overrides`` applies ``--set``, ``validation`` checks it, ``aws_request`` prints or sends it, ``fallback``
tries other instance types, and ``wait`` watches the resource.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

# Hyperparameters and data are checked before any charges, by the code that runs in the image.
sys.path.insert(0, str(ROOT / "code"))
