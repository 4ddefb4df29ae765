"""Scores of a Keras model before any training."""
