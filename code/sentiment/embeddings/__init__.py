"""Initial embeddings: word2vec, document vectors, and those of an earlier job."""
