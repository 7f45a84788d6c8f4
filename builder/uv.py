"""The one caller of the uv program: resolving, virtual environments, sdists of local projects."""

from __future__ import annotations

import datetime
import json
import os
import re
import shutil
import sys
import tempfile
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from builder.environment import Index
from builder.errors import BuildFailure, MissingExtra, NetworkFailure, OfflineFailure, ToolFailure
from builder.fetch import public
from builder.files import write_bytes
from builder.resolving import directory_of, is_tree
from builder.run import Finished, environment, run
from builder.uv_settings import LISTS, OLDEST, settings

RESOLVE, INSTALL, QUICK = 900.0, 1800.0, 120.0  # seconds
# uv's own settings for reaching indexes, caches and interpreters. What changes a result (UV_FIND_LINKS,
# UV_EXCLUDE_NEWER, UV_CONSTRAINT, UV_PRERELEASE ...) stays behind, as does everything of pip but its index.
PASSED = (
    "UV_INDEX", "UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL", "UV_INDEX_STRATEGY", "UV_KEYRING_PROVIDER",
    "UV_CONFIG_FILE", "UV_CACHE_DIR", "UV_PYTHON_INSTALL_DIR", "UV_NATIVE_TLS", "UV_SYSTEM_CERTS",
    "UV_INSECURE_HOST", "UV_HTTP_TIMEOUT", "UV_HTTP_RETRIES", "UV_CONCURRENT_DOWNLOADS", "NETRC",
)  # fmt: skip
PIP_INDEXES = ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL")
FINDING = threading.Lock()
NO_NETWORK = re.compile(
    r"error sending request|dns error|failed to lookup|connect(ion)? (error|refused)|timed out", re.I
)
ONLY_THERE = re.compile(r"`([^`]+)` was found on (\S+), but not at the requested version")
OTHER_STRATEGY = "--index-strategy"  # uv's hint to look elsewhere for it: what must not be done to a lab's own name
TOO_OLD = re.compile(r"Required uv version")
NOT_CACHED = re.compile(r"network (is|was) disabled|not found in the cache|needs to be downloaded", re.I)


@dataclass(frozen=True, kw_only=True)
class Question:
    """What is to be resolved together: PEP 508 lines, and how far to look.

    `python` is the oldest Python it must hold for, `as_of` a date (YYYY-MM-DD) after which nothing was uploaded but to
    `indexes`. With `first_index` a name that one index has is looked up in no other, whatever the user's settings say.
    """

    requirements: Sequence[str]
    constraints: Sequence[str]
    python: str
    as_of: str
    indexes: Sequence[Index] = ()
    first_index: bool = False


class Uv:
    """The uv program of this host. Every method may use the package index unless `offline`; raises ToolFailure."""

    def __init__(self, program: Path, *, offline: bool = False) -> None:
        self.program, self.offline = program, offline

    def compile_lock(self, question: Question, out: Path) -> dict[str, list[str]]:
        """Writes a universal pylock file with hashes to `out`; returns who asks for each package (names, or "" for us).

        Packages of the question's indexes say in the file from which they are (`index`, PEP 751).
        Raises BuildFailure with uv's explanation when the requirements contradict each other, NetworkFailure when an
        index cannot be reached.
        """
        with tempfile.TemporaryDirectory(prefix="ot2deploy-lock-") as name:
            work = Path(name)
            _write_lines(work / "requirements.in", question.requirements)
            _write_lines(work / "constraints.txt", question.constraints)
            argv = [*_compile_argv(question), "--quiet", "--no-header"]
            locked = work / "pylock.toml"
            self._resolve([*argv, "--format", "pylock.toml", "--output-file", locked], work, question, self.offline)
            # The same answer as text says who wants what. All of it is in uv's cache now, and asking the index about
            # a hundred packages again would take longer than the resolution itself.
            text = [*argv, "--annotation-style", "line", "--emit-index-annotation"]
            try:
                finished = self._resolve(text, work, question, offline=True)
            except BuildFailure:
                finished = self._resolve(text, work, question, self.offline)
            from_ours = origins(finished.stdout, question.indexes)
            write_bytes(out, _with_origins(locked.read_text(encoding="utf-8"), from_ours).encode())
        return parents(finished.stdout)

    def venv(self, path: Path, *, python: Path) -> None:
        """Makes a virtual environment without pip at `path`."""
        self._run(["venv", "--quiet", "--no-project", "--clear", "--python", python, path], QUICK)

    def install(
        self,
        python: Path,
        requirements: Sequence[str],
        *,
        constraints: Sequence[str] = (),
        exclude_newer: str | None = None,
        log: Path | None = None,
    ) -> None:
        """Installs host wheels into the environment of `python`; `exclude_newer` is an RFC 3339 date or time."""
        if not requirements:
            return
        with tempfile.TemporaryDirectory(prefix="ot2deploy-install-") as name:
            work = Path(name)
            wanted, limits = work / "requirements.txt", work / "constraints.txt"
            _write_lines(wanted, requirements)
            _write_lines(limits, constraints)
            newer = ["--exclude-newer", end_of(exclude_newer)] if exclude_newer else []
            argv: list[str | Path] = [
                "pip",
                "install",
                "--python",
                python,
                *newer,
                "--requirement",
                wanted,
                "--constraint",
                limits,
            ]
            self._reach(argv, log=log, cwd=work)

    def install_wheels(self, python: Path, wheels: Sequence[Path]) -> None:
        """Installs these files and nothing else into the environment of `python`; asks no index."""
        if wheels:
            self._run(["pip", "install", "--python", python, "--no-deps", "--no-index", *wheels], INSTALL, offline=True)

    def freeze(self, python: Path) -> tuple[str, ...]:
        """What the environment of `python` holds, as name==version."""
        return tuple(self._run(["pip", "freeze", "--python", python], QUICK).stdout.splitlines())

    def build_sdist(self, project: Path, out: Path, *, as_of: str | None = None) -> Path:
        """Lets a project's own back end make its sdist in the directory `out`. Raises BuildFailure with its output."""
        newer = ["--exclude-newer", end_of(as_of)] if as_of else []
        try:  # without --quiet, which would keep the back end's own words back, too
            self._reach(["build", "--sdist", *newer, "--out-dir", out, project], cwd=out)
        except ToolFailure as error:
            if error.status is None:
                raise
            raise BuildFailure(
                f"the back end of {project.name} made no sdist",
                details=error.details,
                next=f"Mend it until this works in its directory: {self.program.name} build --sdist",
            ) from error
        made = [*out.glob("*.tar.gz"), *out.glob("*.zip")]
        if len(made) != 1:
            raise BuildFailure(f"the back end of {project.name} made {len(made)} sdists", next="Look at its build.")
        return made[0]

    def _resolve(self, argv: Sequence[str | Path], cwd: Path, question: Question, offline: bool) -> Finished:
        named = [index for index in question.indexes if not _is_flat(index)]
        try:
            return self._run(argv, RESOLVE, cwd=cwd, offline=offline, indexes=named)
        except ToolFailure as error:
            raise _explained(error, offline, question) from error

    def _reach(self, argv: Sequence[str | Path], *, cwd: Path, log: Path | None = None) -> None:
        """Runs what may need the index, telling a network that is not there from requirements that cannot be had."""
        try:
            self._run(argv, INSTALL, cwd=cwd, log=log)
        except ToolFailure as error:
            if self.offline and NOT_CACHED.search(error.output):
                raise OfflineFailure(
                    "what its build needs is not in uv's cache, and --offline is set",
                    next="Run the same command once without --offline where there is internet.",
                    details=error.details,
                ) from error
            if NO_NETWORK.search(error.output):
                raise _unreachable(error.details) from error
            raise

    def _run(
        self,
        argv: Sequence[str | Path],
        timeout: float,
        *,
        cwd: Path | None = None,
        log: Path | None = None,
        check: bool = True,
        offline: bool | None = None,
        indexes: Sequence[Index] = (),
    ) -> Finished:
        mode = ["--offline"] if (self.offline if offline is None else offline) else []
        asked = _environment(os.environ)
        if indexes:
            assert cwd is not None, "uv reads its settings where it works"
            told = settings(indexes, asked)
            write_bytes(cwd / "uv.toml", told.text.encode())
            asked = {**{name: value for name, value in asked.items() if name not in LISTS}, **told.variables}
        words = [self.program, *mode, "--no-progress", "--color", "never", *argv]
        return run(words, timeout=timeout, cwd=cwd, env=asked, log=log, check=check)


def find(*, offline: bool = False) -> Uv:
    """uv as it came with ot2deploy[build], else the one on PATH. Raises MissingExtra."""
    try:
        from uv import find_uv_bin

        # It asks sysconfig, which in Python < 3.12 answers None to a thread while another one asks for the first time.
        with FINDING:
            return Uv(Path(find_uv_bin()), offline=offline)
    except (ImportError, FileNotFoundError):
        found = shutil.which("uv")
        if found is None:
            raise MissingExtra("build", "uv") from None
        return Uv(Path(found), offline=offline)


def version() -> str | None:
    """uv's version without starting it: the installed wheel's, else what tells one program on PATH from another."""
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as installed

    try:
        return installed("uv")
    except PackageNotFoundError:
        found = shutil.which("uv")
        if found is None:
            return None
        facts = Path(found).stat()
        return f"path-{facts.st_size}-{facts.st_mtime_ns}"


def end_of(as_of: str) -> str:
    """The moment after a date (UTC), which uv would otherwise read in the host's time zone; a time stays as it is."""
    if not re.fullmatch(r"\d{4}-\d\d-\d\d", as_of):
        return as_of
    return f"{datetime.date.fromisoformat(as_of) + datetime.timedelta(days=1)}T00:00:00Z"


def parents(text: str) -> dict[str, list[str]]:
    """Who asks for each package, from uv's `name==1.0  # via a, -r requirements.in` lines; "" stands for the file."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        package, _, note = line.partition("# via ")
        match = re.match(r"[A-Za-z0-9._-]+", package)
        if match:
            via = [word.strip() for word in note.split(",") if word.strip() and not word.strip().startswith("-c ")]
            found[match[0].lower()] = ["" if word.startswith("-r ") else word for word in via]
    return found


def origins(text: str, indexes: Iterable[Index]) -> dict[str, str]:
    """The URL of the index that each package comes from, of those that come from `indexes`; by the lines of `parents`
    and what uv says below each: `# from URL`.
    """
    ours = {public(index.url).rstrip("/") for index in indexes}
    found, name = {}, ""
    for line in text.splitlines():
        if package := re.match(r"[A-Za-z0-9._-]+", line):
            name = package[0].lower()
        url = line.partition("# from ")[2]
        if url.rstrip("/") in ours:
            found[name] = url
    return found


def _with_origins(text: str, found: Mapping[str, str]) -> str:
    """A pylock file in which packages say from which index they are."""
    lines = []
    for line in text.splitlines():
        lines.append(line)
        named = re.fullmatch(r'name = "(.+)"', line)
        if named and named[1] in found:
            lines.append(f"index = {json.dumps(found[named[1]])}")
    return "\n".join([*lines, ""])


def _compile_argv(question: Question) -> list[str]:
    argv = [
        "pip",
        "compile",
        "requirements.in",
        "--constraint",
        "constraints.txt",
        "--universal",
        "--no-python-downloads",
    ]
    argv += ["--python", sys.executable, "--python-version", question.python, "--exclude-newer", end_of(question.as_of)]
    for index in question.indexes:
        if _is_flat(index):
            argv += ["--find-links", str(directory_of(index))]
    return [*argv, "--index-strategy", "first-index"] if question.first_index else argv


def _is_flat(index: Index) -> bool:
    """Whether an index is a directory of wheels, not of pages."""
    directory = directory_of(index)
    return directory is not None and not is_tree(directory)


def index_urls(outer: Mapping[str, str]) -> list[str]:
    """The URLs of the indexes that the user's environment names, to uv or to pip."""
    names = (*(name for name in PASSED if name.startswith(("UV_INDEX", "UV_DEFAULT", "UV_EXTRA"))), *PIP_INDEXES)
    words = [word for name in names for word in outer.get(name, "").split() if "://" in word]
    return [_without_name(word) for word in words]


def default_index(outer: Mapping[str, str]) -> str | None:
    """The URL of the index that uv asks first of all, where the user's environment names another than its own."""
    names = ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL")
    found = next((outer[name] for name in names if name in outer), None)
    return found and _without_name(found)


def _without_name(word: str) -> str:
    """The URL of an index that may have a name in uv's variables: `lab=http://index.example/simple/`."""
    return re.sub(r"^[\w.-]+=(?=https?:)", "", word)


def _environment(outer: Mapping[str, str]) -> dict[str, str]:
    """The child's environment: the user's index configuration goes on working, given to uv or to pip."""
    named = [name for name in outer if re.fullmatch(r"UV_INDEX_[A-Z0-9_]+_(USERNAME|PASSWORD)", name)]
    extra = {}
    if not any(name in outer for name in ("UV_DEFAULT_INDEX", "UV_INDEX_URL")) and outer.get("PIP_INDEX_URL"):
        extra["UV_DEFAULT_INDEX"] = outer["PIP_INDEX_URL"]
    if not any(name in outer for name in ("UV_INDEX", "UV_EXTRA_INDEX_URL")) and outer.get("PIP_EXTRA_INDEX_URL"):
        extra["UV_INDEX"] = outer["PIP_EXTRA_INDEX_URL"]
    if "SSL_CERT_FILE" not in outer and outer.get("PIP_CERT"):
        extra["SSL_CERT_FILE"] = outer["PIP_CERT"]
    return environment(extra, passed=(*PASSED, *named))


def _explained(error: ToolFailure, offline: bool, question: Question) -> BuildFailure:
    said = tuple(line for line in error.output.splitlines() if line.strip())
    if offline and NOT_CACHED.search(error.output):
        return OfflineFailure(
            "the requirements cannot be resolved with --offline",
            why="uv's cache does not hold what the index says about them.",
            next="Run the same command once without --offline where there is internet.",
            details=said,
        )
    if NO_NETWORK.search(error.output):
        return _unreachable(said, question.indexes)
    if TOO_OLD.search(error.output):
        return BuildFailure(
            "uv is too old for the project's indexes",
            why=f"Only uv {OLDEST} and newer can be told that they are exempt from the as-of date.",
            next="Run: uv self update   (or: pip install --upgrade uv)",
            details=said,
        )
    if found := ONLY_THERE.search(error.output):
        return BuildFailure(
            f"{found[1]} has no such version",
            why=f"It is a project of {public(found[2])}, so it is looked up nowhere else.",
            next="Ask for a version that is there, or put this one into that index: ot2deploy index upload WHEEL",
            details=tuple(line for line in said if OTHER_STRATEGY not in line),
        )
    return BuildFailure(
        "the requirements cannot be resolved",
        why="uv's explanation stands above: requirements, constraints and as-of date leave no set of packages.",
        next="Loosen a requirement or constraint, or set a later as_of.",
        details=said,
    )


def _unreachable(said: tuple[str, ...], indexes: Iterable[Index] = ()) -> NetworkFailure:
    text = " ".join(said)
    named = next((index for index in indexes if public(index.url) in text), None)
    return NetworkFailure(
        f"the index {named.name} cannot be reached" if named else "the package index cannot be reached",
        why="No network, or a proxy or certificate that is not configured.",
        next=f"Look whether its server runs: {public(named.url)}"
        if named
        else "Check the connection, UV_DEFAULT_INDEX and HTTPS_PROXY.",
        details=said,
    )


def _write_lines(path: Path, lines: Iterable[str]) -> None:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
