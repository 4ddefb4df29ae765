"""Reproductions of papers, a package each; run from the root: ``python -m papers...``."""
