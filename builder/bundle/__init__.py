"""Bundles: a manifest and its wheels for one environment and one profile, as values and as `.ot2bundle` files."""

from builder.bundle.archive import read, write
from builder.bundle.manifest import Bundle, assemble, digest

__all__ = ["Bundle", "assemble", "digest", "read", "write"]
