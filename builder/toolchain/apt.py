"""Packages of a Debian architecture, fetched with the user's own apt sources and unpacked; nothing is installed."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from builder.errors import BuildFailure, HashFailure, OfflineFailure, ToolFailure
from builder.files import locked, sha256_file, write_bytes
from builder.places import cache_root
from builder.run import environment, run

ARCHITECTURES = {"armv7l": "armhf", "aarch64": "arm64", "x86_64": "amd64"}
# State, cache and architecture of our own, the user's sources and keys: needs no root and leaves the system alone.
CONFIG = """\
Dir::State "{root}/state";
Dir::State::status "{root}/status";
Dir::Cache "{root}/cache";
APT::Architecture "{architecture}";
APT::Architectures {{ "{architecture}"; }};
APT::Sandbox::User "";
Acquire::Languages "none";
"""


ETC = Path("/etc/apt")


class NoApt(BuildFailure):
    """A package of the target's distribution is needed, and this host cannot fetch it."""

    code = "no-apt"


@dataclass(frozen=True, kw_only=True)
class Package:
    """A fetched package: its file name (with version and architecture) and sha256."""

    filename: str
    sha256: str


def available() -> bool:
    """Whether this host has the two programs."""
    return bool(shutil.which("apt-get") and shutil.which("dpkg-deb"))


def unpack(packages: Sequence[str], machine: str, into: Path, *, offline: bool = False) -> tuple[Package, ...]:
    """Fetches packages for a machine and unpacks their files below `into`. Raises as `fetch` does."""
    debs = fetch(packages, machine, offline=offline)
    into.mkdir(parents=True, exist_ok=True)
    for deb in debs:
        run(["dpkg-deb", "-x", deb, into], timeout=300)
    return tuple(Package(filename=deb.name, sha256=sha256_file(deb)) for deb in debs)


def fetch(packages: Sequence[str], machine: str, *, offline: bool = False) -> list[Path]:
    """The package files for a machine, fetched once; `packages` are names, or name=version.

    Raises NoApt where the host has no apt or its sources lack a package, OfflineFailure when it may not ask.
    """
    wanted = ", ".join(packages)
    if not available():
        raise NoApt(
            f"{wanted} for {machine} cannot be fetched: this host has no apt-get and dpkg-deb",
            next="Build on a Debian 12 host (x86_64), or take the wheel from an index that has it.",
        )
    root = cache_root() / "toolchain" / f"apt-{ARCHITECTURES[machine]}"
    if offline and (missing := [package for package in packages if not _fetched(root, package)]):
        raise OfflineFailure(
            f"{', '.join(missing)} for {machine} must be fetched, and --offline is set",
            next="Run the same command once without --offline where there is internet.",
        )
    with locked(root.with_suffix(".lock")):
        return _download(packages, root, ARCHITECTURES[machine])


def upstream_archive(package: str, version: str, sha256: str | None, into: Path) -> Path:
    """Downloads a source package's upstream archives into `into`: the one with this sha256, or the only one.

    Raises NoApt where the host has no apt or its sources lack the package, HashFailure.
    """
    if not available():
        raise NoApt(
            f"the source of {package} {version} cannot be fetched: this host has no apt-get and dpkg-deb",
            next="Build on a Debian host, or give the recipe another source: ot2deploy recipe check",
        )
    root = cache_root() / "toolchain" / "apt-source"
    with locked(root.with_suffix(".lock")):
        env = _prepare(root, ARCHITECTURES["x86_64"], _source_lists(root))
        _get(f"{package}={version}", into, env, ["source", "--download-only", "--only-source", "--tar-only"])
    found = {sha256_file(path): path for path in sorted(into.glob("*.tar.*"))}
    if sha256 is None and len(found) == 1:
        return next(iter(found.values()))
    if sha256 not in found:
        came = ", ".join(f"{digest} ({path.name})" for digest, path in found.items()) or "no archive"
        raise HashFailure(
            f"sha256 mismatch for the source of {package} {version}", why=f"Expected {sha256}, got {came}."
        )
    return found[sha256]


def version(deb: Path) -> str:
    """A package file's version."""
    return _field(deb, "Version")


def depends(deb: Path) -> tuple[str, ...]:
    """Names of the packages that a package file depends on; of alternatives the first."""
    return tuple(clause.split()[0].partition(":")[0] for clause in _field(deb, "Depends").split(",") if clause.strip())


def asking_archive(suite: str) -> tuple[str, ...]:
    """The call that prints the archives of a suite (its code name) that a Debian gets its packages from."""
    return ("apt-get", "indextargets", "--format", "$(REPO_URI)", f"Codename: {suite}", "Created-By: Packages")


def archive(suite: str) -> str:
    """The archive this host itself gets its packages from, where that has the suite; else empty."""
    lines = run(asking_archive(suite), timeout=60, check=False).stdout.splitlines()
    return lines[0] if lines else ""


def _field(deb: Path, name: str) -> str:
    return run(["dpkg-deb", "-f", deb, name], timeout=60).stdout.strip()


def _source_lists(root: Path) -> str:
    """The host's lists of packages as lists of sources, in `root`; the lines of configuration that name them."""
    lists = root / "lists"
    shutil.rmtree(lists, ignore_errors=True)
    lists.mkdir(parents=True)
    for path in (ETC / "sources.list", *sorted((ETC / "sources.list.d").glob("*"))):
        if path.suffix in (".list", ".sources") and path.is_file():
            text = re.sub(r"(?m)^(Types:\s*|(?=deb\s))deb(?:\s+deb-src)?(?![\w-])", r"\1deb-src", path.read_text())
            (lists / path.name).write_text(text)
    return f'Dir::Etc::sourcelist "/dev/null";\nDir::Etc::sourceparts "{lists}";\n'


def _prepare(root: Path, architecture: str, more: str = "") -> dict[str, str]:
    """Makes the private configuration, with `more` of it; the environment in which apt uses it."""
    config = root / "apt.conf"
    for name in ("state/lists/partial", "cache/archives/partial", "debs"):
        (root / name).mkdir(parents=True, exist_ok=True)
    (root / "status").touch()
    write_bytes(config, (CONFIG.format(root=root, architecture=architecture) + more).encode())
    return environment({"APT_CONFIG": str(config), "LC_ALL": "C.UTF-8"})


def _download(packages: Sequence[str], root: Path, architecture: str) -> list[Path]:
    env = _prepare(root, architecture)
    debs = []
    for package in packages:
        if not _fetched(root, package):
            with tempfile.TemporaryDirectory(dir=root, prefix=".deb-") as name:  # what was cut off must not stay
                fresh = Path(name) / "new"
                fresh.mkdir()
                _get(package, fresh, env)
                fresh.rename(root / "debs" / package)
        debs += _fetched(root, package)[:1]
    return debs


def _fetched(root: Path, package: str) -> list[Path]:
    return sorted((root / "debs" / package).glob("*.deb"))


def _get(package: str, directory: Path, env: dict[str, str], command: Sequence[str] = ("download",)) -> None:
    """Downloads one package; the index is read first when the package is not in the one we have."""
    argv = ["apt-get", "-q", *command, package]
    if run(argv, cwd=directory, env=env, timeout=600, check=False).status == 0:
        return
    # One of several sources may be out of step; only the package's own absence counts.
    updated = run(["apt-get", "update", "-q"], env=env, timeout=600, check=False)
    try:
        run(argv, cwd=directory, env=env, timeout=600)
    except ToolFailure as error:
        raise NoApt(
            f"{package} ({_architecture(env)}) is not in this host's apt sources",
            why="The sources in /etc/apt are those of another distribution or architecture, or cannot be reached.",
            next="Build on a Debian 12 host, or take the wheel from an index that has it.",
            details=(*error.details, *updated.stderr.splitlines()[-3:]),
        ) from error


def _architecture(env: dict[str, str]) -> str:
    """The architecture that a private configuration is for, for messages."""
    return Path(env["APT_CONFIG"]).parent.name.removeprefix("apt-")
