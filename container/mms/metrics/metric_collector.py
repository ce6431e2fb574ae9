"""Replaces the program that the model server runs for system metrics, which nothing uses.

The server writes the workers' process ids to it and logs a broken pipe if they are not read.
"""

import sys

sys.stdin.read()
