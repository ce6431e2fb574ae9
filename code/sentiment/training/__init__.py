"""A training job, from channels to artifact and report."""
