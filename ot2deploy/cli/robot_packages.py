"""`ot2deploy robot packages`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ot2deploy.cli import one_robot
from ot2deploy.cli.journal_lines import plain
from ot2deploy.cli.result import Answer, Shown, lines, table

if TYPE_CHECKING:
    from ot2deploy.robots.packages import Package, RobotPackages


@click.command("packages")
@click.option("--name", "package", default="", metavar="PACKAGE", help="This package only, with its directories.")
@one_robot.one_robot
def command(package: str, **where: Any) -> Shown:
    """Show the Python packages of a robot: its own, those installed by hand, and ours.

    "used by" says who gets this one: protocols (and Jupyter notebooks), or the programs of an environment. A package
    of the system wins over one installed by hand.
    """
    from ot2deploy.robots.packages import read_packages

    with one_robot.visiting(**where) as fleet:
        found = one_robot.value(fleet, read_packages)
    return Shown(result=Answer(data=found.as_dict(package)), parts=_parts(found, package))


def _parts(found: RobotPackages, name: str) -> Any:
    rows = [_row(package, name) for package in found.named(name)]
    if not rows:
        return (lines(f"{found.robot} has no package {name}" if name else f"{found.robot} has no package"),)
    columns = ("package", "version", "layer", "used by", "from", "directory")
    loose = [f"of no package: {plain(path)}" for path in found.loose] if not name else []
    return (table(columns, rows, title=f"{found.robot}, Python {found.python}"), *((lines(*loose),) if loose else ()))


def _row(package: Package, name: str) -> tuple[str, ...]:
    layer = f"{package.layer} {package.environment}" if package.environment else package.layer
    used = ", ".join(package.used_by) or ("nobody" if package.importable else "nobody: not on the path")
    where = package.directory if name else ""
    return tuple(map(plain, (package.name, package.version, layer, used, package.source, where)))
