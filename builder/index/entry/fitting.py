"""Which profiles a wheel is for where nobody named one: those that the index has, before others."""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set
from pathlib import Path

from packaging.tags import Tag
from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from builder.errors import UsageFailure
from builder.index.layout import HOST
from builder.profile import Profile
from builder.profile_host import host_profile


def fits(path: Path, profile: Profile) -> bool:
    """Whether a wheel's name fits a profile; also where it is no name, as `admit` says better what is wrong with it."""
    tags = _tags(path)
    return tags is None or not tags.isdisjoint(profile.tags)


def chosen(path: Path, profiles: Sequence[Profile], there: Set[str]) -> tuple[Profile, ...]:
    """Of some profiles those that an index has, their names being `there`, if the wheel fits one of them; else all."""
    known = tuple(profile for profile in profiles if profile.name in there)
    return known if any(fits(path, profile) for profile in known) else tuple(profiles)


def host() -> Profile | None:
    """This computer's own profile, where wheels can have one."""
    try:
        return host_profile()
    except UsageFailure:
        return None


def host_of(there: Set[str]) -> tuple[Profile, ...]:
    """This computer's own profile, where an index has a branch of it."""
    own = host()
    return (own,) if own and own.name in there else ()


def hint(path: Path, tried: Iterable[Profile]) -> str:
    """What to run where a wheel fits none of what was tried, but this computer; else ""."""
    own = host()
    if own is None or _tags(path) is None or not fits(path, own) or any(fits(path, profile) for profile in tried):
        return ""
    return f"It fits this computer, {own.name}; name that: --profile {HOST}"


def _tags(path: Path) -> frozenset[Tag] | None:
    """What a wheel's name says that it is for; None where it is no name of a wheel."""
    try:
        return parse_wheel_filename(path.name)[3]
    except InvalidWheelFilename:
        return None
