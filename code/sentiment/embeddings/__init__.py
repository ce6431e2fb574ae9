"""Initial embeddings: word2vec, document vectors, or pretrained by an earlier job."""
