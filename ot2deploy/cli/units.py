"""Amounts as people read them."""

from __future__ import annotations

from builder.counted import counted as count

__all__ = ["count", "seconds", "size"]


def size(count: float) -> str:
    """Bytes in decimal units: 812 B, 8.5 MB, 47 MB, 1.2 GB."""
    for unit in ("B", "kB", "MB", "GB"):
        if abs(count) < 999.5 or unit == "GB":
            break
        count /= 1000
    digits = 0 if unit == "B" or abs(count) >= 99.5 else 1
    return f"{count:.{digits}f} {unit}"


def seconds(value: float) -> str:
    """A time span: 0.04 s, 4.2 s, 38 s, 2 min 05 s."""
    if value < 0.095:
        return f"{value:.2f} s"
    if value < 9.95:
        return f"{value:.1f} s"
    if value < 119.5:
        return f"{value:.0f} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest:02d} s"
