"""Attention by ranked parts: grouping, pooling, and networks that decide by parts."""

from foveal.attention.grouping import Grouping, Groups
from foveal.attention.pooling import AttentionPooling, AveragePooling, Merge, RepresentativePooling, replicated

__all__ = [
    "AttentionPooling",
    "AveragePooling",
    "Grouping",
    "Groups",
    "Merge",
    "RepresentativePooling",
    "replicated",
]
