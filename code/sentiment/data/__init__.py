"""Channels to examples."""
