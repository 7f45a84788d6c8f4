"""`ot2deploy completion`."""

from __future__ import annotations

import click

from ot2deploy.cli import options
from ot2deploy.cli.result import Answer, Shown, lines

PROGRAM = "ot2deploy"
VARIABLE = "_OT2DEPLOY_COMPLETE"
SHELLS = ("bash", "zsh", "fish")


@click.command("completion")
@click.argument("shell", type=click.Choice(SHELLS))
@options.output
def command(shell: str) -> Shown:
    """Print the script that completes our command lines.

    Names of robots, groups, environments and runs are completed, too, out of the project's files.

    For bash: eval "$(ot2deploy completion bash)"
    """
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"click knows no completion for {shell}")
    script = kind(click.Command(PROGRAM), {}, PROGRAM, VARIABLE).source()
    return Shown(result=Answer(data={"shell": shell, "script": script}), parts=(lines(*script.splitlines()),))
