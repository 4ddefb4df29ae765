"""Theorem 1 and the node dynamics on real and small networks."""
