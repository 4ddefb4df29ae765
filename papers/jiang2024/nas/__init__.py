"""Cells of NAS-Bench-201."""
