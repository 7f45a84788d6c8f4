"""`ot2deploy wheel missing`."""

from __future__ import annotations

import platform
import shlex
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ot2deploy import __version__
from ot2deploy.cli import options, units, wheel_order
from ot2deploy.cli.result import Part, Shown, lines, table

if TYPE_CHECKING:
    from builder.engine import Engine
    from builder.wheels.orders import Order
    from builder.wheels.outlook import Outlook
    from ot2deploy.project import Project


@dataclass(frozen=True, kw_only=True)
class Outlooks:
    """Every package of the closure; 1 when one cannot be had."""

    packages: tuple[Outlook, ...]

    @property
    def exit_code(self) -> int:
        """0 when every package can be had in some way."""
        return int(bool(refused(self.packages)))

    def as_dict(self) -> dict[str, Any]:
        """All packages, and the names of those that no index has a wheel of."""
        return {
            "missing": sorted({one.name for one in self.packages if one.missing}),
            "packages": [one.as_dict() for one in self.packages],
        }


@click.command("missing")
@wheel_order.packages
@click.option("--all", "everything", is_flag=True, help="Show pure Python and index wheels, too.")
@click.option(
    "--request", "request", type=click.Path(path_type=Path, dir_okay=False, allow_dash=True), metavar="FILE",
    help="Write the text of an issue that asks for what cannot be had; - is standard output.",
)  # fmt: skip
@options.project
@options.no_repair
@options.offline
@options.output
def command(
    profiles: tuple[str, ...],
    upgrade: bool,
    everything: bool,
    request: Path | None,
    project: Project,
    no_repair: bool,
    offline: bool,
    **named: Any,
) -> Shown:
    """Say which packages no index has a wheel of, how each can be had, and who wants it.

    All that the requirements need is looked at; nothing is built. Ends with 1 when something cannot be had.
    """
    from builder.wheels.outlook import look
    from ot2deploy.engine import open_for

    wanted = wheel_order.load_profiles(profiles)
    engine = open_for(project, offline=offline, repair=not no_repair, upgrade=upgrade)
    order = wheel_order.read(**named, search=engine.search, closure=True)
    with options.reporting() as report:
        found = look(order, wanted, engine, report)
    parts: list[Part] = [lines(_head(found, profile.name), style="title") for profile in wanted]
    shown = [one for one in found if everything or one.missing]
    if shown:
        parts += _tables(shown)
    if request:
        parts = _requested(request, found, parts, order, engine)
    return Shown(result=Outlooks(packages=found), parts=tuple(parts))


def refused(packages: Sequence[Outlook]) -> list[Outlook]:
    """Those that cannot be had."""
    from builder.wheels.outlook import NONE

    return [one for one in packages if one.state == NONE]


def _head(found: Sequence[Outlook], profile: str) -> str:
    from builder.wheels.outlook import STATES

    states = Counter(one.state for one in found if one.profile == profile)
    told = ", ".join(f"{states[state]} {state}" for state in STATES if states[state])
    return f"{units.count(states.total(), 'package')} for {profile}: {told}"


def _tables(shown: Sequence[Outlook]) -> list[Part]:
    """What each package is; and below, as sentences are wider than a table, why, once for all that share a reason."""
    rows = [
        (
            _name(one),
            one.profile if len({each.profile for each in shown}) > 1 else "",
            one.state,
            one.recipe or "",
            units.seconds(one.seconds) if one.seconds else "",
            " -> ".join(one.chain),
        )
        for one in shown
    ]
    columns = ("package", "profile", "state", "recipe", "build", "wanted by")
    why = [(", ".join(names), *texts) for texts, names in _reasons(shown).items()]
    return [
        table(columns, rows, folded=("wanted by",)),
        lines(""),
        table(("packages", "why", "instead"), why, folded=("packages", "why", "instead")),
    ]


def _reasons(shown: Sequence[Outlook]) -> dict[tuple[str, str], list[str]]:
    """The packages of each reason and advice; with the profile where another one has another reason."""
    several = Counter(name for name, *_ in {(_name(one), one.reason, one.instead) for one in shown})
    found: dict[tuple[str, str], list[str]] = {}
    for one in shown:
        name = _name(one)
        told = name if several[name] == 1 else f"{name} ({one.profile})"
        names = found.setdefault((one.reason, one.instead), [])
        names += [told] if told not in names else []
    return found


def _name(one: Outlook) -> str:
    return f"{one.name} {one.version}".rstrip()


def _requested(path: Path, found: Sequence[Outlook], parts: list[Part], order: Order, engine: Engine) -> list[Part]:
    """The parts, with the request written or - on standard output - in their place."""
    from builder.files import write_bytes
    from builder.wheels.request import text

    lacking = refused(found)
    if not lacking:
        return [*parts, lines("", "Nothing to ask for: every package can be had.")]
    profiles = [word for name in dict.fromkeys(one.profile for one in lacking) for word in ("--profile", name)]
    day = ["--as-of", order.environment.as_of] if order.environment.as_of else []
    asked = shlex.join(["ot2deploy", "wheel", "missing", *order.environment.wanted, *profiles, *day])
    written = text(lacking, asked, _facts(engine))
    if path == Path("-"):
        return [lines(*written.splitlines())]
    write_bytes(path, written.encode())
    return [*parts, lines("", f"Request written to {path}")]


def _facts(engine: Engine) -> dict[str, str]:
    return {
        "ot2deploy": __version__,
        "machine": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        "uv": engine.uv_version() or "none",
    }
