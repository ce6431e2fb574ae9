"""Channels of a training job to examples."""
