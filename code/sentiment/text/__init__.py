"""Text to padded sequences of ids."""
