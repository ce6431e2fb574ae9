"""N-gram model: soft labels, n-gram tokens and token scores from one cross-fitted NBSVM."""
