"""The parent of a model's workers, in place of the model server's own program of this name.

That program forks a worker whenever the server asks for one. This one imports the handler before the first
fork: the imports take seconds, so a dead worker is replaced faster, and all workers share their memory. Each
worker still loads the model itself; a fault in loading it here would last until the parent ends.
"""

import gc
import importlib
import runpy
import sys

# This file's folder, which Python puts first and which has none of the server's modules.
del sys.path[0]
importlib.import_module("inference")
# A collection in a worker would write to every object, and so copy the shared memory.
gc.collect()
gc.freeze()
runpy.run_module("mms.model_service_worker", run_name="__main__", alter_sys=True)
