"""Where things are kept on the host: the store and its neighbours, and the data shipped inside the wheel."""

from __future__ import annotations

import os
from pathlib import Path

import builder


def cache_root() -> Path:
    """Directory of the store, toolchain caches and downloads: $OT2DEPLOY_CACHE, else the user's cache directory."""
    given = os.environ.get("OT2DEPLOY_CACHE")
    if given:
        return Path(given).expanduser().absolute()
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base).absolute() / "ot2deploy"


def shipped(name: str) -> Path:
    """A directory of shipped data, `package` or `environments`: inside the wheel, or in the checkout."""
    inside = Path(builder.__file__).parent / "_shipped" / name
    return inside if inside.is_dir() else Path(builder.__file__).parent.parent / name
