"""How long builds took, so that callers start the longest first."""

from __future__ import annotations

import json
from pathlib import Path

from packaging.utils import canonicalize_name

from builder.files import locked, write_json
from builder.places import cache_root
from builder.profile import Profile

# Seconds measured on two cores with a warm zig cache, some while other builds ran; the order is what counts.
MEASURED = {
    "asyncpg": 32.0,
    "bcrypt": 84.0,
    "blake3": 96.0,
    "cffi": 4.0,
    "contourpy": 30.0,
    "cryptography": 106.0,
    "fastuuid": 170.0,
    "greenlet": 5.0,
    "jiter": 227.0,
    "kiwisolver": 18.0,
    "markupsafe": 3.0,
    "nh3": 201.0,
    "numpy": 125.0,
    "orjson": 84.0,
    "pandas": 250.0,
    "psutil": 3.0,
    "pydantic-core": 430.0,
    "pyyaml": 9.0,
    "regex": 8.0,
    "rpds-py": 62.0,
    "rtoml": 149.0,
    "ruamel-yaml-clib": 9.0,
    "safetensors": 132.0,
    "ujson": 7.0,
    "uuid-utils": 74.0,
    "watchfiles": 111.0,
}
UNKNOWN = 20.0


def expected_seconds(name: str, profile: Profile) -> float:
    """What a build of a project will take: as last time here, else as measured, else a guess."""
    return measured_seconds(name, profile) or UNKNOWN


def measured_seconds(name: str, profile: Profile) -> float | None:
    """What a build of a project took: the last one here, else the one that was measured, or None."""
    project = canonicalize_name(name)
    return _stored().get(f"{project} {profile.key}", MEASURED.get(project))


def remember_seconds(name: str, profile: Profile, seconds: float) -> None:
    """Keeps what a build took."""
    with locked(_path().with_suffix(".lock")):
        write_json(_path(), {**_stored(), f"{canonicalize_name(name)} {profile.key}": round(seconds, 1)})


def _path() -> Path:
    return cache_root() / "durations.json"


def _stored() -> dict[str, float]:
    try:
        return {str(key): float(value) for key, value in json.loads(_path().read_text()).items()}
    except (OSError, ValueError, AttributeError, TypeError):
        return {}
