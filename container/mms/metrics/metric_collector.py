"""What the model server runs at its start for figures about the system: none, since nobody reads them.

The server writes the ids of the workers to it, and would log a broken pipe if it ended without reading them.
"""

import sys

sys.stdin.read()
