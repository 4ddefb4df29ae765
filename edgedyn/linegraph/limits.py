"""Refusals of what would not fit into memory, before it is begun."""

from edgedyn import _validate as check


def check_bytes(needed: int, max_bytes: int, what: str, ways_out: str) -> None:
    """Refuse an array that is too large, before allocating it."""
    if needed > check.positive_int(max_bytes, "max_bytes"):
        raise ValueError(
            f"{what} would take {needed:,} bytes, more than max_bytes={max_bytes:,}; {ways_out}, "
            "or raise max_bytes."
        )


def check_links(count: int, max_links: int, unit: str, what: str, way_out: str) -> None:
    """Refuse a networkx graph that is too large."""
    if count > check.positive_int(max_links, "max_links"):
        raise ValueError(
            f"{what} has {count:,} {unit}, more than max_links={max_links:,}; use {way_out}, or "
            "raise max_links."
        )
