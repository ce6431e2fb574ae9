"""Training: speed, time to an accuracy, peak memory."""
