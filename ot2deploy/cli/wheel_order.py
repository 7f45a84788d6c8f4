"""The options by which commands say which packages they mean, for which profiles; and what follows from them."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from builder.errors import UsageFailure

if TYPE_CHECKING:
    from builder.profile import Profile
    from builder.targets import Search
    from builder.wheels.orders import Order

F = TypeVar("F", bound=Callable[..., Any])
PROFILE = "ot2-py310"  # the software of nearly all robots

_requirements = click.argument("requirements", nargs=-1, metavar="[REQUIREMENT]...")
_file = click.option(
    "-r", "--requirements", "file", type=click.Path(path_type=Path, exists=True, dir_okay=False), metavar="FILE",
    help="A file of requirements, one on each line. May stand beside named ones.",
)  # fmt: skip
_env = click.option("--env", "target", metavar="NAME", help="All of an environment (or of another target of push).")
_profiles = click.option(
    "--profile", "profiles", multiple=True, default=(PROFILE,), show_default=True, metavar="NAME",
    help="The ABI: ot2-py310, ot2-py312, debian-12-armhf or host. May be given again.",
)  # fmt: skip
_as_of = click.option(
    "--as-of", type=click.DateTime(["%Y-%m-%d"]), metavar="YYYY-MM-DD",
    help="Consider nothing uploaded after this day; without it, after the day of the first such call.",
)  # fmt: skip
_upgrade = click.option("--upgrade", is_flag=True, help="Resolve anew, as of today.")


def packages(command: F) -> F:
    """Which packages, for which profiles, as of when; the command passes all but `profiles` and `upgrade` to `read`."""
    return _requirements(_file(_env(_profiles(_as_of(_upgrade(command))))))


def read(
    *,
    requirements: tuple[str, ...],
    file: Path | None,
    target: str | None,
    as_of: datetime.datetime | None,
    search: Search,
    closure: bool,
) -> Order:
    """The order that the options mean. Raises UsageFailure where they mean none, or two."""
    from builder.wheels import orders

    day = as_of.date().isoformat() if as_of else None
    if target and (requirements or file):
        raise UsageFailure("--env and requirements exclude each other", next="Run one command for each.")
    if target:
        return orders.whole(target, search, as_of=day)
    texts = (*requirements, *(orders.read_requirements(file) if file else ()))
    if not texts:
        raise UsageFailure(
            "no package is named",
            next="Name some (numpy==1.26.4, ujson), a file with -r, or an environment with --env.",
        )
    return orders.of(texts, search, closure=closure, as_of=day)


def load_profiles(names: tuple[str, ...]) -> list[Profile]:
    """The profiles of those names, each once."""
    from builder import profile_host

    return [profile_host.load(name) for name in dict.fromkeys(names)]
