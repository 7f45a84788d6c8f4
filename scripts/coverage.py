"""What labs install, obtained for each profile: docs/coverage.md, made of runs only, which may be interrupted."""

from __future__ import annotations

import argparse
import json
import re
import sys
import textwrap
from collections.abc import Collection, Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from builder.acquire import acquire_project
from builder.build import expected_seconds
from builder.engine import Engine, open_engine
from builder.environment import Environment
from builder.errors import Failure
from builder.events import Event
from builder.files import locked, write_bytes, write_json
from builder.pipeline import make_bundle
from builder.places import cache_root
from builder.profile import Profile, load
from builder.qualify import Options, find_interpreter, qualify
from builder.wheel import WheelFile

HERE = Path(__file__).resolve().parent
LIST = HERE / "coverage-packages.txt"
RESULTS = HERE / "coverage-results.json"
PAGE = HERE.parent / "docs" / "coverage.md"
EMULATED = "debian-12-armhf"
PROFILES = ("ot2-py310", "ot2-py312", EMULATED)
LINE = re.compile(
    r"(?P<requirement>[^\[#\s]+)(\s+with\s+(?P<beside>[^\[#\s]+))?\s*(\[(?P<profiles>[^\]]+)\])?\s*#\s*(?P<why>.+)"
)
AS_OF = re.compile(r"# as of (\d{4}-\d\d-\d\d)\b")
LONGEST = 330  # characters of a reason
LEAD = """\
# Coverage

Made by `scripts/coverage` from `scripts/coverage-packages.txt`: every package there is obtained for each profile as a
bundle would obtain it, nothing uploaded after {as_of} being considered. Every figure is from a run.

- obtained: `public` is the index's own wheel, `repaired` one made to do with the robot's glibc, `built` one made here
  from source, `refused` the answer that there is none, with the reason below.
- native: shared objects in the wheel. audited: the audit (docs/findings.md) lets it pass; the newest glibc it asks for.
- emulated: the wheel and what it needs installed in a fresh environment of an emulated ARM interpreter, and every
  extension module imported, the recipe's checks and `pip check` run there: how many of these checks passed. Only
  `{emulated}` has an interpreter to run here; the other profiles' wheels are made with the same flags.
- seconds: of its build, or of obtaining it with downloads, on two cores that had other work as well.

{native} distributions with native code for at least one profile ({wheels} wheels), {pure} pure ones, {refused} refused.
"""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A line of the list: what is obtained, `beside` what it runs, for which profiles, and why a lab wants it."""

    requirement: str
    beside: str = ""
    profiles: tuple[str, ...]
    why: str

    @property
    def name(self) -> str:
        """The project."""
        return canonicalize_name(Requirement(self.requirement).name)


@dataclass(frozen=True, kw_only=True)
class Result:
    """What a run found for an entry and a profile; without a wheel `why` says why there is none."""

    name: str
    version: str
    profile: str
    how: str
    filename: str = ""
    sha256: str = ""
    native: int = 0
    max_glibc: str = ""
    emulated: str = ""
    seconds: float = 0.0
    date: str = ""
    why: str = ""


def main() -> None:
    """Runs what has no result yet, or what is named, and writes the page after each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("packages", nargs="*", metavar="PACKAGE", help="only these of the list")
    parser.add_argument("--profile", action="append", choices=PROFILES, help="only for this profile (repeatable)")
    parser.add_argument("--again", action="store_true", help="also what has a result already")
    parser.add_argument("--page", action="store_true", help="only write the page anew")
    arguments = parser.parse_args()
    entries, as_of = read_list(LIST.read_text(encoding="utf-8"))
    named = {canonicalize_name(name) for name in arguments.packages}
    if unknown := named - {entry.name for entry in entries}:
        raise SystemExit(f"not in {LIST.name}: {', '.join(sorted(unknown))}")
    engine = open_engine(cache_root() / "coverage", jobs=1)
    todo = [] if arguments.page else list(plan(entries, named, arguments.profile or PROFILES, again=arguments.again))
    for number, (entry, profile) in enumerate(todo, 1):
        print(f"[{number}/{len(todo)}] {entry.requirement} for {profile.name}", flush=True)
        found = obtain(entry, profile, engine, as_of, beside(entry, entries))
        print(f"    {found.how} {found.filename or found.why} {found.seconds:.0f} s", flush=True)
        keep(found)
        write_page(entries, as_of)
    write_page(entries, as_of)


def read_list(text: str) -> tuple[list[Entry], str]:
    """The entries of the list and its as-of date. Lines: `name==version [with REQUIREMENT] [profile, ...]  # why`."""
    entries = []
    as_of = AS_OF.search(text)
    if as_of is None:
        raise SystemExit(f"{LIST.name} needs a line `# as of YYYY-MM-DD`")
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        match = LINE.fullmatch(line.strip())
        if match is None:
            raise SystemExit(f"{LIST.name}:{number}: must be `name==version [with REQUIREMENT] [profiles]  # why`")
        profiles = tuple(re.split(r"[,\s]+", match["profiles"].strip())) if match["profiles"] else PROFILES
        found = {name: match[name] or "" for name in ("requirement", "beside", "why")}
        entries.append(Entry(**found, profiles=profiles))
    return entries, as_of[1]


def plan(
    entries: Iterable[Entry], named: Collection[str], profiles: Iterable[str], *, again: bool
) -> Iterator[tuple[Entry, Profile]]:
    """What is to be run, the longest last, so that an interrupted run has most of the page."""
    known = {(result.name, result.version, result.profile) for result in results()}
    rows = [
        (expected_seconds(entry.name, load(profile)), PROFILES.index(profile), entry.requirement, entry, load(profile))
        for entry in entries
        for profile in entry.profiles
        if profile in profiles
        and (not named or entry.name in named)
        and (again or (entry.name, version_of(entry), profile) not in known)
    ]
    yield from ((row[3], row[4]) for row in sorted(rows, key=lambda row: row[:3]))


def beside(entry: Entry, entries: Iterable[Entry]) -> tuple[str, ...]:
    """What an entry runs with: its own word, else of the list's other projects the newest versions there."""
    newest = {one.name: one.requirement for one in sorted(entries, key=lambda one: Version(version_of(one)))}
    own: dict[str, str] = {canonicalize_name(Requirement(entry.beside).name): entry.beside} if entry.beside else {}
    return tuple(text for name, text in sorted({**newest, **own}.items()) if name != entry.name)


def obtain(entry: Entry, profile: Profile, engine: Engine, as_of: str, constraints: tuple[str, ...]) -> Result:
    """One wheel by the engine's normal ways, and run with what `constraints` allow."""
    started = monotonic()
    version = version_of(entry)
    facts: dict[str, Any] = {"name": entry.name, "version": version, "profile": profile.name, "date": _today()}
    try:
        acquired = acquire_project(entry.requirement, profile, engine, as_of=as_of, report=_tell)
    except Failure as failure:
        return Result(**facts, how="refused", why=reason(failure), seconds=round(monotonic() - started, 1))
    made = (engine.store.record(acquired.blob.sha256) or {}).get("facts", {})
    seconds = float(made.get("seconds", monotonic() - started))  # a wheel that was built before took no less
    audit = engine.tools.audit(acquired.blob.path, profile)
    wheel = WheelFile.open(acquired.blob.path)
    return Result(
        **{**facts, "version": wheel.version},
        how=acquired.how,
        filename=acquired.blob.filename,
        sha256=acquired.blob.sha256,
        native=len(audit.binaries),
        max_glibc=".".join(map(str, audit.max_glibc)) if audit.max_glibc else "",
        emulated=emulate(entry, profile, engine, as_of, constraints) if profile.name == EMULATED else "",
        seconds=round(seconds, 1),
    )


def reason(failure: Failure) -> str:
    """Why there is no wheel: the recipe's word where it has one. Without what only this computer knows, as paths."""
    said = [line for line in failure.details if not line.startswith("wanted by:")] or [failure.what]
    refusal = [line.removeprefix("recipe: ") for line in said if line.startswith("recipe: ")]
    words = [*refusal, failure.next] if refusal else said
    return _short(re.sub(r"\S*/\S*/\S*", "...", " ".join(words)))


def emulate(entry: Entry, profile: Profile, engine: Engine, as_of: str, constraints: tuple[str, ...]) -> str:
    """How many checks passed on an emulated interpreter, of the package with all that it needs; what failed first."""
    environment = Environment(
        name=f"coverage-{entry.name}",
        requirements=(entry.requirement,),
        constraints=constraints,
        as_of=as_of,
        python=profile.python,
    )
    try:
        bundle = make_bundle(environment, profile, engine, _tell)
        found = qualify(bundle, find_interpreter(profile), Options(engine=engine, environment=environment))
    except Failure as failure:
        return f"not run: {failure}"
    rows = [row for row in found.rows if row.kind != "audit"]
    known = sum(row.state == "known" for row in rows)
    failed = [f"{row.name} failed: {row.why}" for row in found.failures[:1]]
    more = [f"{known} known to fail"] if known else []
    return "; ".join([f"{sum(row.ok for row in rows)} of {len(rows)}", *more, *failed])


def version_of(entry: Entry) -> str:
    """The version that the entry pins."""
    (pin,) = Requirement(entry.requirement).specifier
    return pin.version


def results() -> list[Result]:
    """What earlier runs found."""
    return [Result(**row) for row in json.loads(RESULTS.read_text())] if RESULTS.exists() else []


def keep(found: Result) -> None:
    """Adds a result, in place of what is known of the same package, version and profile."""
    same = found.name, found.version, found.profile
    with locked(cache_root() / "coverage.lock"):
        kept = [result for result in results() if (result.name, result.version, result.profile) != same]
        ordered = sorted([*kept, found], key=lambda row: (row.name, Version(row.version), PROFILES.index(row.profile)))
        write_json(RESULTS, [asdict(result) for result in ordered])


def write_page(entries: Iterable[Entry], as_of: str) -> None:
    """Writes docs/coverage.md from the results of what is on the list."""
    write_bytes(PAGE, page(list(entries), results(), as_of).encode())


def page(entries: list[Entry], found: list[Result], as_of: str) -> str:
    """The page's text: a row for each entry and profile that has a result, the reasons of refusals below."""
    wanted = {(entry.name, version_of(entry), profile) for entry in entries for profile in entry.profiles}
    rows = [result for result in found if (result.name, result.version, result.profile) in wanted]
    got = [row for row in rows if row.how != "refused"]
    native = {row.name for row in got if row.native}
    lead = LEAD.format(
        as_of=as_of,
        emulated=EMULATED,
        native=len(native),
        wheels=sum(1 for row in got if row.native),
        pure=len({row.name for row in got} - native),
        refused=len({row.name for row in rows} - {row.name for row in got}),
    )
    head = ["| package | version | profile | obtained | native | audited | emulated | seconds | sha256 | date |"]
    lines = [*head, "|" + " --- |" * 10, *map(_line, rows)]
    reasons = {(row.name, row.version, _short(row.why)): None for row in rows if row.how == "refused"}
    whys = [f"- **{name} {version}**: {why}" for name, version, why in reasons]
    refusals = ["", "## Refused, and why", "", *whys] if whys else []
    return "\n".join([lead, *lines, *refusals, ""])


def _line(row: Result) -> str:
    audited = f"yes, glibc {row.max_glibc}" if row.max_glibc else "yes"
    cells = [row.name, row.version, row.profile, row.how, str(row.native or "-"), audited, row.emulated or "-"]
    if row.how == "refused":
        cells[5] = "-"
    return "| " + " | ".join([*cells, f"{row.seconds:.0f}", row.sha256[:12] or "-", row.date]) + " |"


def _short(text: str) -> str:
    return textwrap.shorten(text, LONGEST, placeholder=" ...")


def _tell(event: Event) -> None:
    if event.level in ("info", "done", "warning"):
        print(f"    {event.stage}: {event.message[:400]}", file=sys.stderr, flush=True)


def _today() -> str:
    return datetime.now(UTC).date().isoformat()


if __name__ == "__main__":
    main()
