"""The options of a mirror: those of `ot2deploy index serve` that say what comes from elsewhere, and what never does."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
SIZE = re.compile(r"(\d{1,9}(?:\.\d{1,3})?)\s*([KMGT]?)B?", re.I)


def mirror(command: F) -> F:
    """--mirror and what belongs to it; the command gets `mirror`, `reserve`, `release`, `mirror_size`, `mirror_fresh`.

    `mirror` is an address, "" for the usual one, or None.
    """
    chosen = [
        click.option(
            "--mirror", is_flag=False, flag_value="", default=None, metavar="[URL]",
            help="Also give public projects, of names that the index does not have, from this index or the usual one.",
        ),
        click.option(
            "--reserve", multiple=True, metavar="PATTERN",
            help="Never ask the mirrored index for names like this ('lab-*'), from now on. May be given again.",
        ),
        click.option(
            "--release", multiple=True, metavar="NAME",
            help="Forget a reserved pattern, or an own project that is not in the index any more. May be given again.",
        ),
        click.option(
            "--mirror-size", default="5G", show_default=True, metavar="SIZE", callback=_bytes,
            help="What the mirror may keep on disk; what was not used for longest goes first.",
        ),
        click.option(
            "--mirror-fresh", type=click.FloatRange(min=0), default=600.0, show_default=True, metavar="SECONDS",
            help="How long a page counts before the mirrored index is asked whether it changed.",
        ),
    ]  # fmt: skip
    for option in reversed(chosen):
        command = option(command)
    return command


def _bytes(_ctx: click.Context, _: click.Parameter, text: str) -> int:
    found = SIZE.fullmatch(text.strip())
    if not found:
        raise click.BadParameter(f"{text} is no size: 500M, 5G")
    return int(float(found[1]) * UNITS[found[2].upper()])
