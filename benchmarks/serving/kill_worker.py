"""Kill a random worker that has loaded the model, in this container.

Prints the times of the kill and of the worker's disappearance, in seconds since 1970: until its memory is
released, its connection stays open, and the server may send it requests. Prints nothing without a worker.
"""

import contextlib
import random
import time
from pathlib import Path

import psutil

from byoc.serving.worker_status import workers

living = [worker for folder in Path("/tmp").glob("serve-*/workers/model") for worker in workers(folder)]  # noqa: S108
if living:
    chosen = psutil.Process(random.choice(living).pid)
    killed = time.time()
    chosen.kill()
    with contextlib.suppress(psutil.NoSuchProcess):
        while chosen.status() != psutil.STATUS_ZOMBIE:
            time.sleep(0.001)
    print(killed, time.time())
