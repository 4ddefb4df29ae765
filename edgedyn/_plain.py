"""What results have in common: they can be had as plain Python values, to store or to print."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


class Plain:
    """Base of result dataclasses."""

    def to_dict(self: "DataclassInstance") -> dict[str, Any]:
        """Return all fields as plain Python values."""
        return asdict(self)
