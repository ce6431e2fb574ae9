"""Inference in one process: tokenizer, network, predictor, HTTP."""
