"""Figures of results: matplotlib axes in, axes out."""

from edgedyn.report import figures

__all__ = ["figures"]
