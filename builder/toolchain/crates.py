"""The crates of a source tree, fetched into cargo's shared home before its build, which then needs no network."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

from builder.errors import BuildFailure, NetworkFailure, OfflineFailure, ToolFailure
from builder.run import environment, run

NO_NETWORK = re.compile(
    r"could not (connect|resolve)|failed to (download|fetch)|timed out|spurious network error", re.I
)
# Manifests here are not the project's: fixtures, and other people's crates that it brings along.
ASIDE = frozenset({"bench", "benches", "example", "examples", "fuzz", "test", "tests", "vendor", "target"})


def fetch_crates(
    tree: Path, *, variables: Mapping[str, str], log: Path, timeout: float, offline: bool
) -> tuple[str, ...]:
    """Fetches what the crates of a tree need, and gives a line for each manifest with crates that no lock chose.

    Not with --locked, which refuses the lock of a workspace that is not whole in its sdist: what cargo adds to a lock
    is told instead. For every platform, as setuptools-rust asks cargo about all of them. Raises OfflineFailure with
    what is missing, NetworkFailure, ToolFailure.
    """
    told = []
    for manifest in manifests(tree):
        before = _locked(lock_of(manifest, tree))
        argv: list[str | Path] = ["cargo", "fetch", "--manifest-path", manifest, *(["--offline"] if offline else [])]
        try:
            run(argv, cwd=manifest.parent, env=environment(variables), log=log, timeout=timeout)
        except ToolFailure as error:
            raise _explained(error, manifest.relative_to(tree), offline) from error
        if added := sorted(_locked(lock_of(manifest, tree)) - before):
            names = ", ".join(added) if before else "any crate"
            told.append(f"{manifest.relative_to(tree)}: no Cargo.lock chose {names}; the newest of today go in")
    return tuple(told)


def manifests(tree: Path) -> tuple[Path, ...]:
    """The Cargo.toml files that a build starts from: those that pyproject.toml names, else the outermost ones."""
    named = tuple(tree / path for path in _named(tree) if (tree / path).is_file())
    return named or tuple(_outermost(tree))


def lock_of(manifest: Path, tree: Path) -> Path | None:
    """The Cargo.lock of a manifest, or of the workspace that it belongs to."""
    inside = (directory for directory in manifest.parents if directory == tree or tree in directory.parents)
    return next((lock for directory in inside if (lock := directory / "Cargo.lock").exists()), None)


def conditions(tree: Path, target: str) -> tuple[str, ...]:
    """What a project's .cargo/config.toml sets with --cfg for every target, or for this one."""
    config = _read(tree / ".cargo" / "config.toml")
    targets = config.get("target", {})
    found: list[str] = []
    for table in (config.get("build", {}), targets.get("cfg(all())", {}), targets.get(target, {})):
        flags = table.get("rustflags", [])
        words = " ".join(flags.split() if isinstance(flags, str) else flags).replace("--cfg=", "--cfg ").split()
        found += [word for before, word in pairwise(words) if before == "--cfg"]
    return tuple(dict.fromkeys(found))


def _read(file: Path) -> dict[str, Any]:
    """A TOML file; an empty one where it is not there, or not in order, which cargo and back ends say."""
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def _locked(lock: Path | None) -> set[str]:
    """The crates from elsewhere in a lock, as "name version"."""
    packages = _read(lock).get("package", []) if lock else []
    return {f"{crate['name']} {crate['version']}" for crate in packages if "source" in crate}


def _named(tree: Path) -> Iterator[str]:
    tools = _read(tree / "pyproject.toml").get("tool", {})
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
