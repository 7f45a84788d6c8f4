"""`ot2deploy index`: a package index of wheels for robots."""

from __future__ import annotations

import click

from ot2deploy.cli import (
    index_build,
    index_config,
    index_drop,
    index_export,
    index_gc,
    index_list,
    index_log,
    index_promote,
    index_publish,
    index_serve,
    index_upload,
    index_workflow,
    index_yank,
    token,
)
from ot2deploy.cli.group import Group


@click.group("index", cls=Group)
def command() -> None:
    """A package index of wheels for robots, which pip, uv and ot2deploy read: one branch for each profile.

    It is a directory: a USB stick, any web server or `ot2deploy index serve` gives it to others.
    """


command.add_command(index_build.command)
command.add_command(index_serve.command)
command.add_command(index_upload.command)
command.add_command(index_publish.command)
command.add_command(index_config.command)
command.add_command(index_export.command)
command.add_command(index_list.command)
command.add_command(index_promote.command)
command.add_command(index_drop.command)
command.add_command(index_yank.command)
command.add_command(index_gc.command)
command.add_command(index_log.command)
command.add_command(index_workflow.command)
command.add_command(token.command)
