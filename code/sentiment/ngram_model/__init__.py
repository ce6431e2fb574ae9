"""NBSVM, a linear model of the n-grams of a review."""
