"""Benchmarks behind every measurement in the documentation; run them with ``benchmarks/run.sh NAME``."""
