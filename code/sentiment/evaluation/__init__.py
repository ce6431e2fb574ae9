"""Metrics and the training report."""
