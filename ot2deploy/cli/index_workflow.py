"""`ot2deploy index workflow`."""

from __future__ import annotations

from pathlib import Path

import click

from ot2deploy import __version__
from ot2deploy.cli import options
from ot2deploy.cli.new_file import NewFile, write_new
from ot2deploy.cli.result import Answer, Shown, lines
from ot2deploy.cli.wheel_order import PROFILE


@click.command("workflow")
@click.option("--host", type=click.Choice(["github"]), default="github", show_default=True, help="Whose workflows.")
@options.robot_profiles(f"without it, {PROFILE}")
@click.option("--test/--no-test", default=True, show_default=True, help="Run the wheels on an emulated ARM processor.")
@click.option(
    "-o", "--output", "out", type=NewFile(), metavar="FILE",
    help="Write it there, where no file is yet; without it, it is printed.",
)  # fmt: skip
@options.output
def command(host: str, profiles: tuple[str, ...], test: bool, out: Path | None) -> Shown:
    """Print a workflow that builds, proves and publishes a repository's packages whenever they change.

    It makes an artifact and a release, and brings the channel of what was pushed to the place that the repository's
    variable PACKAGES_TARGET names. Its steps are ot2deploy's own commands.
    """
    from builder import profile
    from builder.index.publish.workflow import PLACES, workflow

    wanted = profiles or (PROFILE,)
    for name in wanted:
        profile.load(name)
    requirement = f"ot2deploy[all]=={__version__}"
    text = workflow(host, requirement, wanted, test=test)
    data = {"workflow": text, "place": PLACES[host], "file": str(out) if out else None}
    if out is None:
        return Shown(result=Answer(data=data), parts=(lines(*text.splitlines()),))
    changed = write_new(out, text)
    head = f"{out} written" if changed else f"no change: {out} says so already"
    said = lines(
        head,
        f"{host} looks for it at {PLACES[host]}. Commit it, and pin its actions.",
        f"It installs {requirement}: where no package index has that, put your copy at OT2DEPLOY: "
        "ot2deploy[all] @ git+https://...",
    )
    return Shown(result=Answer(data={**data, "changed": changed}), parts=(said,))
