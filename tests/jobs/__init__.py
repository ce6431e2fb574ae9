"""Tests of ``jobs/``, against moto in the place of AWS."""
