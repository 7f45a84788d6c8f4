"""Which wheels are offered to an index, and for which profiles: those of directories, bundle files and single files."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from builder import bundle as bundle_file
from builder import profile as shipped
from builder.errors import UsageFailure
from builder.index.change import SETTINGS
from builder.index.entry.fitting import host
from builder.index.export.manifest import MANIFEST
from builder.profile import Profile
from builder.store import Store

VENV = "pyvenv.cfg"
WHEEL, BUNDLE = ".whl", ".ot2bundle"


@dataclass(frozen=True, kw_only=True)
class Offer:
    """A wheel, and the profiles whose branches it may enter; it enters those that it fits.

    Where nobody named them it is `open`: of its profiles those that the index has come first.
    """

    path: Path
    profiles: tuple[Profile, ...]
    open: bool = False


def offers(paths: Iterable[Path], profiles: Sequence[Profile], store: Store) -> tuple[Offer, ...]:
    """The wheels of some directories, `.ot2bundle` files and wheels.

    Indexes, exports, virtual environments and hidden directories below a directory are not looked into.
    A directory that is called like a profile holds wheels for this one, and a bundle says whose its wheels are;
    `profiles` leaves out others. Any other wheel is for `profiles`, or without them open to every shipped one.
    Raises UsageFailure for all paths that hold no wheel, BundleFailure for a damaged bundle.
    """
    found: list[Offer] = []
    wrong: list[str] = []
    for path in paths:
        try:
            here = list(_of(path, profiles, store))
        except UsageFailure as failure:
            wrong += failure.lines()
            continue
        wrong += [] if here else [f"{path} holds no wheel{' of these profiles' if profiles else ''}"]
        found += here
    if wrong:
        raise UsageFailure(
            "there is nothing to put into the index",
            details=tuple(wrong),
            next="Make wheels in dist/: ot2deploy wheel build NAME   Or name a directory, a bundle file or a wheel.",
        )
    return tuple(found)


def _of(path: Path, profiles: Sequence[Profile], store: Store) -> Iterator[Offer]:
    if path.is_dir():
        yield from _of_directory(path, profiles)
    elif not path.is_file():
        raise UsageFailure(f"{path} does not exist")
    elif path.suffix == BUNDLE:
        yield from _of_bundles(path, profiles, store)
    elif path.suffix == WHEEL:
        yield Offer(path=path, profiles=tuple(profiles) or _shipped(), open=not profiles)
    else:
        raise UsageFailure(f"{path} is neither a directory, nor a wheel, nor an .ot2bundle file")


def _of_directory(directory: Path, profiles: Sequence[Profile]) -> Iterator[Offer]:
    everything = tuple(profiles) or _shipped()
    known = {one.name: one for one in (*_shipped(), *filter(None, [host()]), *profiles)}
    for path in sorted(_wheels_below(directory)):
        inside = path.relative_to(directory).parts[:-1]
        named = next((known[part] for part in (*reversed(inside), directory.name) if part in known), None)
        if named is None:
            yield Offer(path=path, profiles=everything, open=not profiles)
        elif not profiles or named.name in [one.name for one in profiles]:
            yield Offer(path=path, profiles=(named,))


def _wheels_below(directory: Path) -> Iterator[Path]:
    """The wheels in a directory and below it, but for those that are somebody else's already (see `_is_apart`)."""
    for inside, directories, filenames in os.walk(directory):
        place = Path(inside)
        directories[:] = [name for name in directories if not (name.startswith(".") or _is_apart(place / name))]
        wheels = (place / name for name in filenames if name.endswith(WHEEL) and not name.startswith("."))
        yield from (path for path in wheels if path.is_file())


def _is_apart(directory: Path) -> bool:
    """Whether a directory is an index (whose wheels are in channels of their own), an export or an environment."""
    return (
        (directory / VENV).is_file() or _says(directory / SETTINGS, "root_url") or _says(directory / MANIFEST, "kind")
    )


def _says(path: Path, key: str) -> bool:
    """Whether a JSON file is there that has a key; others may have files of the same names."""
    try:
        return key in json.loads(path.read_bytes())
    except (OSError, ValueError, TypeError):
        return False


def _of_bundles(path: Path, profiles: Sequence[Profile], store: Store) -> Iterator[Offer]:
    known = {one.name: one for one in (*_shipped(), *filter(None, [host()]))}
    for bundle in bundle_file.read(path, store):
        if bundle.profile not in known:
            raise UsageFailure(
                f"{path.name} holds wheels for {bundle.profile}, which is no profile that this computer knows",
                why=f"It was made for one robot's own interpreter. Known are {', '.join(sorted(known))}.",
            )
        if not profiles or bundle.profile in [one.name for one in profiles]:
            yield from (Offer(path=blob.path, profiles=(known[bundle.profile],)) for blob in bundle.blobs)


def _shipped() -> tuple[Profile, ...]:
    return tuple(map(shipped.load, shipped.names()))
