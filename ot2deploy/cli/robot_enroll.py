"""`ot2deploy robot enroll` and `discover`: getting into robots."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from builder.errors import UsageFailure
from ot2deploy.cli import completing, options
from ot2deploy.cli.outcomes import failures
from ot2deploy.cli.result import Answer, Shown, lines, table

if TYPE_CHECKING:
    from ot2deploy.enroll.run import Enrolling
    from ot2deploy.project import Project

LEFT_OUT = "-"
ENDS = ("q", "quit")  # what ends the loop, whatever is asked in it
addresses = click.option(
    "--address", "addresses", multiple=True, metavar="PLACES",
    help="Look here instead: addresses, ADDRESS:PORT of HTTP APIs, networks such as 192.168.1.0/24. Repeatable.",
)  # fmt: skip
seconds = click.option(
    "--seconds", type=click.FloatRange(min=0.1, max=60), default=3.0, show_default=True, metavar="N",
    help="How long answers by mDNS are waited for.",
)  # fmt: skip


class Somebody:
    """A person at this terminal; with `yes` nobody is asked."""

    def __init__(self, *, yes: bool, quiet: bool) -> None:
        self.answers, self._quiet = not yes, quiet

    def tell(self, text: str) -> None:
        """Says it on standard error."""
        if not self._quiet:
            click.echo(text, err=True)

    def name(self, usual: str) -> str:
        """Asks for a name, until it is one. Raises ThatWasAll."""
        from ot2deploy.enroll.person import ThatWasAll
        from ot2deploy.inventory.settings import NAME

        while self.answers:
            name = _asked(f"  Its name here ({LEFT_OUT} leaves it out, q ends here)", default=usual)
            if name == LEFT_OUT:
                return ""
            if name.lower() in ENDS:
                raise ThatWasAll
            if NAME.fullmatch(name):
                return name
            self.tell("  A name has letters, digits and . _ - only.")
        return usual

    def agrees(self, question: str) -> bool:
        """Asks for a yes."""
        return self.answers and _asked(f"  {question} [y/N]", default="", show_default=False).lower() in ("y", "yes")

    def passphrase(self, of: str) -> str:
        """Asks for a passphrase, which is not shown."""
        text = f"{of} has a passphrase. Passphrase (empty: use another key)"
        return _asked(text, default="", hide_input=True, show_default=False) if self.answers else ""

    def plugged_in(self) -> bool:
        """Waits for Enter."""
        text = "Plug in the next robot by USB, then press Enter (q: that was all)"
        return _asked(text, default="", show_default=False).lower() not in ENDS


def _asked(text: str, **how: Any) -> str:
    """An answer. Raises KeyboardInterrupt, also where the input ends: nothing more is to be done then."""
    try:
        return str(click.prompt(text, err=True, **how)).strip()
    except click.Abort:
        raise KeyboardInterrupt from None


@click.command("enroll")
@click.argument("name", required=False, default="", shell_complete=completing.robot)
@click.option("--key", type=click.Path(path_type=Path), metavar="FILE.pub",
    help="Let this public key in on the robots of the inventory, over SSH: a second computer's key.",
)  # fmt: skip
@options.limit
@addresses
@click.option("--port", type=click.IntRange(1, 65535), metavar="N", help="The port of its SSH server, where not 22.")
@click.option(
    "--identity-file", type=click.Path(path_type=Path), metavar="FILE",
    help="Your private key; without it, one that robots take is found or made.",
)  # fmt: skip
@click.option("--once", is_flag=True, help="Enroll what is there now, and do not ask for the next robot.")
@click.option("--yes", is_flag=True, help="Ask nothing; needed where nobody can answer.")
@seconds
@options.project
@options.robots
@options.output
def enroll(name: str, key: Path | None, limit: str, project: Project, robots_file: Path | None, **how: Any) -> Shown:
    """Get into robots: put your key on them, pin their host keys, write them into the inventory.

    \b
    Without a name, one robot after the other, as you plug them in by USB:
      ot2deploy robot enroll
    A robot of the inventory that was reset, and refuses your key:
      ot2deploy robot enroll otto
    The key of a second computer, without a cable:
      ot2deploy robot enroll --key laptop.pub
    """
    if key is not None:
        _alone(how)
        return _let_in(key, name or limit, project, robots_file)
    if limit:
        raise UsageFailure("--limit goes with --key", next="Name one robot of the inventory, or none for new ones.")
    from ot2deploy.enroll.run import Request, run

    yes, once = how.pop("yes"), how.pop("once")
    if not yes and (options.wants_json() or not (sys.stdin and sys.stdin.isatty())):
        raise UsageFailure(
            "robot enroll asks questions; it needs --yes where nobody can be asked",
            why="Nothing was changed.",
            next=" ".join(["Run: ot2deploy robot enroll", *filter(None, [name]), "--yes"]),
        )
    if robots_file is None and not project.is_project:
        raise UsageFailure(
            f"{project.root} is no project: there is nowhere to write robots down",
            next="Run: ot2deploy init   or name an inventory: --robots FILE",
        )
    given = how.pop("addresses")
    request = Request(
        project=project, path=robots_file or project.inventory, name=name, addresses=",".join(given), once=once, **how
    )
    return _view(run(request, Somebody(yes=yes, quiet=options.wants_json())), robots_file)


def _alone(how: dict[str, Any]) -> None:
    """Raises UsageFailure for options that mean nothing beside --key."""
    given = [name for name in ("addresses", "port", "identity_file", "once") if how[name]]
    if given:
        raise UsageFailure(
            "--key goes over SSH to robots of the inventory; "
            f"--{given[0].replace('addresses', 'address').replace('_', '-')} does not fit"
        )


def _let_in(path: Path, limit: str, project: Project, robots_file: Path | None) -> Shown:
    from ot2deploy.enroll import authorized, keeping

    keys = authorized.read_public(path)
    with options.visiting(project=project, robots_file=robots_file, limit=limit, trust=False, jobs=None) as fleet:
        result = keeping.let_in(fleet, keys)
    rows = [
        (
            outcome.robot.name,
            "added" if outcome.value and outcome.value.keys else "no change" if outcome.ok else "failed",
        )
        for outcome in result.outcomes
    ]
    said = lines(*(f"{key.kind} {key.fingerprint} {key.comment}".rstrip() for key in keys))
    return Shown(
        result=result,
        parts=(said, table(("robot", "key"), rows), *failures(outcome.failure for outcome in result.outcomes)),
    )


def _view(result: Enrolling, robots_file: Path | None) -> Shown:
    rows = [
        (
            one.robot.name,
            one.did,
            one.seen.about.serial,
            one.seen.about.software,
            one.robot.address,
            "put on it" if one.posted else "was on it",
            one.as_dict()["fingerprint"],
        )
        for one in result.done
    ]
    columns = ("robot", "inventory", "serial number", "software", "address", "your key", "host key")
    notes = [f"{one.robot.name}: {note}" for one in result.done for note in one.notes]
    option = f" --robots {robots_file}" if robots_file else ""
    return Shown(
        result=result,
        parts=(
            *([table(columns, rows)] if rows else []),
            lines(*notes, style="warning"),
            *failures(result.failed.values()),
            *([lines(f"Next: ot2deploy robot check{option}")] if rows else []),
        ),
    )


@click.command("discover")
@addresses
@seconds
@options.project
@options.robots
@options.output
def discover(addresses: tuple[str, ...], seconds: float, project: Project, robots_file: Path | None) -> Shown:
    """Show which robots answer, on USB cables and in the network; changes nothing.

    A robot answers over HTTP without a login: what it says of itself is no proof.
    """
    from ot2deploy.enroll import discover as nearby
    from ot2deploy.enroll import entry
    from ot2deploy.errors import NotFound

    sight = nearby.look(project, ",".join(addresses), seconds=seconds)
    known = entry.load(robots_file or project.inventory)
    names = {robot.serial: robot.name for robot in known.robots.values()} if known else {}
    if not sight.robots:
        raise NotFound(
            "no robot answers",
            details=sight.notes,
            why="A robot needs a minute to start, and mDNS does not reach other subnets.",
            next="Plug one in by USB, or name where to look: ot2deploy robot discover --address 192.168.1.0/24",
        )
    rows = [
        (
            seen.about.name,
            seen.about.serial,
            seen.about.software,
            seen.about.address,
            str(seen.about.http_port),
            seen.by,
            names.get(seen.about.serial, "no"),
        )
        for seen in sight.robots
    ]
    told = [{**seen.as_dict(), "robot": names.get(seen.about.serial)} for seen in sight.robots]
    columns = ("calls itself", "serial number", "software", "address", "http port", "by", "in the inventory")
    return Shown(
        result=Answer(data={"robots": told, "notes": list(sight.notes)}),
        parts=(table(columns, rows, right=("http port",)), lines(*sight.notes, style="dim")),
    )
