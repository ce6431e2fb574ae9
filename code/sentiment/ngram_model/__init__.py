"""Logistic regression over n-grams (NBSVM)."""
