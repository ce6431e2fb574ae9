"""Requests, responses, and the state of the workers."""
