"""The crates of a source tree, fetched into cargo's shared home before its build, which then needs no network."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path

from builder.errors import BuildFailure, NetworkFailure, OfflineFailure, ToolFailure
from builder.run import environment, run

NO_NETWORK = re.compile(
    r"could not (connect|resolve)|failed to (download|fetch)|timed out|spurious network error", re.I
)
LOCK_IS_OLD = "because --locked was passed"
# Manifests here are not the project's: fixtures, and other people's crates that it brings along.
ASIDE = frozenset({"bench", "benches", "example", "examples", "fuzz", "test", "tests", "vendor", "target"})


def fetch_crates(
    tree: Path, *, variables: Mapping[str, str], log: Path, timeout: float, offline: bool
) -> tuple[Path, ...]:
    """Fetches what the crates of a tree need; gives the manifests that have no Cargo.lock.

    Where there is a lock it is held to. For every platform: setuptools-rust asks cargo about all of them. Raises
    OfflineFailure with what is missing, NetworkFailure, BuildFailure for a lock that does not match its manifest.
    """
    found = manifests(tree)
    unlocked = tuple(manifest for manifest in found if not has_lock(manifest, tree))
    for manifest in found:
        modes = ["--offline"] * offline + ["--locked"] * (manifest not in unlocked)
        argv: list[str | Path] = ["cargo", "fetch", "--manifest-path", manifest, *modes]
        try:
            run(argv, cwd=manifest.parent, env=environment(variables), log=log, timeout=timeout)
        except ToolFailure as error:
            raise _explained(error, manifest.relative_to(tree), offline) from error
    return unlocked


def manifests(tree: Path) -> tuple[Path, ...]:
    """The Cargo.toml files that a build starts from: those that pyproject.toml names, else the outermost ones."""
    named = tuple(tree / path for path in _named(tree) if (tree / path).is_file())
    return named or tuple(_outermost(tree))


def has_lock(manifest: Path, tree: Path) -> bool:
    """Whether a manifest, or the workspace that it belongs to, has a Cargo.lock."""
    inside = (directory for directory in manifest.parents if directory == tree or tree in directory.parents)
    return any((directory / "Cargo.lock").exists() for directory in inside)


def _named(tree: Path) -> Iterator[str]:
    try:
        tools = tomllib.loads((tree / "pyproject.toml").read_text(encoding="utf-8")).get("tool", {})
    except (OSError, ValueError):
        return
    if path := tools.get("maturin", {}).get("manifest-path"):
        yield path
    for kind in ("ext-modules", "bins"):
        yield from (entry.get("path", "Cargo.toml") for entry in tools.get("setuptools-rust", {}).get(kind, ()))


def _outermost(tree: Path) -> Iterator[Path]:
    found: list[Path] = []
    for file in sorted(tree.rglob("Cargo.toml"), key=lambda file: (len(file.parts), file)):
        inside = any(outer.parent in file.parents for outer in found)
        if not inside and not ASIDE.intersection(file.relative_to(tree).parts[:-1]):
            found.append(file)
            yield file


def _explained(error: ToolFailure, manifest: Path, offline: bool) -> BuildFailure:
    if LOCK_IS_OLD in error.output:
        return BuildFailure(
            f"its Cargo.lock does not match {manifest}",
            why="The crates that its authors tested are not the ones that would be taken.",
            next="Bring a lock that matches as a patch of its recipe.",
            details=error.details,
        )
    if offline:
        return OfflineFailure(
            f"crates of {manifest} are not in cargo's cache, and --offline is set",
            next="Run the same command once without --offline where there is internet.",
            details=error.details,
        )
    if NO_NETWORK.search(error.output):
        return NetworkFailure(
            "the crates cannot be fetched",
            why="No network, or a proxy or certificate that cargo does not know.",
            next="Check the connection, HTTPS_PROXY and ~/.cargo/config.toml.",
            details=error.details,
        )
    return error
