"""Benchmarks and studies of accuracy; a file each, run by itself."""
