"""Kill one of the workers that have loaded the model, in this container.

Prints when it was killed and when it was gone, in seconds since 1970: until its memory is given back, its
connection stays open, and the server may hand it requests. Prints nothing if no worker has loaded the model.
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
