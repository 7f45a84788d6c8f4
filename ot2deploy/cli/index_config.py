"""`ot2deploy index pip-config`: what others write down to use an index."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from builder.errors import UsageFailure
from ot2deploy.cli import index_options, options
from ot2deploy.cli.new_file import NewFile, write_new
from ot2deploy.cli.result import Answer, Shown, lines
from ot2deploy.cli.wheel_order import PROFILE

if TYPE_CHECKING:
    from builder.index.consumers import Text

FORMATS = ("pip", "uv", "ot2deploy", "env", "robot", "all")
AUTHS = ("keyring", "netrc", "none")


@click.command("pip-config")
@click.argument("url")
@index_options.profiles(f"May be given again; without it, {PROFILE}.")
@index_options.channel
@click.option(
    "--format", "wanted", type=click.Choice(FORMATS), default="all", show_default=True,
    help="For whom: pip.conf, uv.toml, ot2deploy.yaml, variables of a shell, a robot's pip, or all of them.",
)  # fmt: skip
@click.option(
    "--auth", type=click.Choice(AUTHS), default="none", show_default=True,
    help="Where a reader's token is kept, if the index asks for one. It stands in none of the texts.",
)  # fmt: skip
@click.option(
    "-o", "--output", "out", type=NewFile(), metavar="FILE",
    help="Write it there, where no file is yet; without it, it is printed.",
)  # fmt: skip
@options.output
def command(url: str, profiles: tuple[str, ...], channel: str, wanted: str, auth: str, out: Path | None) -> Shown:
    """Print what pip, uv, ot2deploy and robots need to use the index at URL.

    URL is that of the index itself, such as http://HOST:8080; the profile and the channel are put behind it.
    """
    from builder import profile
    from builder.index import consumers

    names = tuple(profile.load(name).name for name in profiles or (PROFILE,))
    texts = consumers.texts(consumers.place(url, channel=channel, auth=auth), names, wanted)
    told = [vars(text) for text in texts]
    if out is None:
        return Shown(result=Answer(data={"texts": told, "file": None}), parts=(lines(*_shown(texts)),))
    if len(texts) != 1:
        raise UsageFailure(
            f"{len(texts)} texts do not go into one file", next="Choose one with --format, and one --profile."
        )
    changed = write_new(out, texts[0].text)
    head = f"{out} written" if changed else f"no change: {out} says so already"
    return Shown(result=Answer(data={"texts": told, "file": str(out), "changed": changed}), parts=(lines(head),))


def _shown(texts: tuple[Text, ...]) -> list[str]:
    """One text as it is, so that it can be sent into a file; of several, each below where it belongs."""
    if len(texts) == 1:
        return texts[0].text.splitlines()
    shown: list[str] = []
    for text in texts:
        shown += ["", f"# --- {' '.join(filter(None, [text.where, text.profile and f'({text.profile})']))}"]
        shown += text.text.splitlines()
    return shown[1:]
