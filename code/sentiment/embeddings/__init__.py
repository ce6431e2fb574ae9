"""Pretrained embeddings."""
