"""Tests of the built image, in a real Docker Engine. A package, so that it can have a conftest of its own."""
