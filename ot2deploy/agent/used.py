"""Which blobs on a robot no release is made of."""

from __future__ import annotations

import os

from ot2deploy.agent import fields, release, statefile
from ot2deploy.agent import layout as layouts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection

    from ot2deploy.agent.layout import Layout

    Release = tuple[str, str]  # environment and digest


def releases(layout: Layout) -> list[Release]:
    """All releases on the robot."""
    return [
        (environment, digest)
        for environment in release.listed(layout.envs)
        for digest in release.listed(layout.releases(environment))
    ]


def unused(layout: Layout, going: Collection[Release], strays: bool) -> list[str]:
    """The paths of blobs that only releases of `going` are made of; with `strays` also those of no release at all.

    None where a manifest of one that stays cannot be read.
    """
    staying = [_names(layout, one) for one in releases(layout) if one not in going]
    if None in staying:
        return []
    stay = _Named([names for names in staying if names])
    gone = _Named([names for names in (_names(layout, one) for one in going) if names])
    return [
        path
        for kind, path in blob_paths(layout)
        if not stay.has(kind, path) and (strays or gone.has(kind, path))
    ]  # fmt: skip


def blob_paths(layout: Layout) -> list[tuple[str, str]]:
    """Kind and path of everything that is a blob or the first part of one."""
    found = []
    for kind in fields.FILENAME:
        directory = os.path.join(layout.base, kind)
        for name in release.listed(directory):
            if fields.DIGEST.fullmatch(name[:-5] if name.endswith(".part") else name):
                found.append((kind, os.path.join(directory, name)))
    return found


class _Named:
    """What the manifests of some releases name."""

    def __init__(self, manifests: list[list[tuple[str, str]]]) -> None:
        self._sums = {sha256 for names in manifests for sha256, _ in names}
        # A pack is named like its wheel, and more.
        self._stems = tuple({filename[: -len("whl")] for names in manifests for _, filename in names})

    def has(self, kind: str, path: str) -> bool:
        """Whether a blob, or the first part of a wheel, belongs to them."""
        if kind == "packs":
            return any(name.startswith(self._stems) for name in release.listed(path))
        name = os.path.basename(path)
        return (name[:-5] if name.endswith(".part") else name) in self._sums


def _names(layout: Layout, one: Release) -> list[tuple[str, str]] | None:
    """sha256 and file name of the wheels of a release, or None where its manifest cannot be read."""
    manifest = statefile.read(os.path.join(layout.release(*one), layouts.MANIFEST))
    if manifest is None:
        return None
    return [(str(wheel.get("sha256")), str(wheel.get("filename"))) for wheel in manifest.get("wheels") or ()]


def size(path: str) -> int:
    """Bytes on the disk of a file, or of all files below a directory."""
    try:
        total = os.lstat(path).st_size
    except OSError:
        return 0
    if os.path.islink(path) or not os.path.isdir(path):
        return total
    total = 0
    for directory, _, names in os.walk(path):
        for name in names:
            try:
                total += os.lstat(os.path.join(directory, name)).st_size
            except OSError:
                pass
    return total
