"""The container side: everything a model needs from SageMaker's container, and nothing about any model."""
