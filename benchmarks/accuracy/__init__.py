"""Accuracy of presets and changed hyperparameters, compared with linear models."""
