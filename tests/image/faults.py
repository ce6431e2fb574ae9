"""Faults for a serving container: texts that make its predictor misbehave.

A copy of the predictor's module with this code at its end is mounted over the original.
"""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MODULE = "code/sentiment/model/predictor.py"

SLEEP = "fault: sleep "  # and for how many seconds
LOOP = "fault: loop"
RAISE = "fault: raise"

_ADDITION = f"""

import time as _time

_predict = Predictor.predict


def _predict_or_fail(self, texts):
    for text in texts:
        if text.startswith({SLEEP!r}):
            _time.sleep(float(text.removeprefix({SLEEP!r})))
        while text == {LOOP!r}:
            pass
        if text == {RAISE!r}:
            raise RuntimeError("a fault")
    return _predict(self, texts)


Predictor.predict = _predict_or_fail
"""


def mount(folder: Path) -> tuple[str, str]:
    """Options for ``docker run``; ``folder`` is for the module."""
    module = folder / "predictor.py"
    module.write_text((ROOT / MODULE).read_text("utf-8") + _ADDITION, "utf-8")
    return "--volume", f"{module}:/opt/program/{MODULE}:ro"
