"""What the model server starts for each model, in place of its own program of this name.

That program forks a worker whenever one is wanted. Here it has what a worker imports (torch and nltk take
seconds of a core) before the first fork, so that a worker that died is back without them, and all of them
share that memory. The model itself is still loaded by each worker: a fault in loading would otherwise be
there for good.
"""

import gc
import importlib
import runpy
import sys

# The folder of this file, where the server's own package would not be found.
del sys.path[0]
importlib.import_module("inference")
# A collection in a worker would write to every object, and so copy what is shared.
gc.collect()
gc.freeze()
runpy.run_module("mms.model_service_worker", run_name="__main__", alter_sys=True)
