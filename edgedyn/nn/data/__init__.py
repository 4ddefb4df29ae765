"""Data sets, image files, samples, tables."""
