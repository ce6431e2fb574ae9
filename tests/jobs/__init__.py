"""Tests of ``jobs/`` against moto, a simulation of AWS."""
