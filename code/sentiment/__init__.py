"""Sentiment of movie reviews: an LSTM, from raw text to probability."""
