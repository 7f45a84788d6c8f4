"""The options by which commands say which packages they mean, for which profiles; and what follows from them."""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from builder.errors import UsageFailure

if TYPE_CHECKING:
    from builder.profile import Profile
    from builder.targets import Search
    from builder.wheels.orders import Order
    from ot2deploy.project import Project

F = TypeVar("F", bound=Callable[..., Any])
PROFILE = "ot2-py310"  # the software of nearly all robots
BARE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")  # neither a path nor a URL, and without a specifier


def _day(_ctx: click.Context, _: click.Parameter, value: str | None) -> str | None:
    if value is not None and not _is_day(value):
        raise UsageFailure(f"--as-of: {value!r} is no date, YYYY-MM-DD", next="Write it like this: --as-of 2025-04-20")
    return value


def _is_day(text: str) -> bool:
    try:
        return datetime.date.fromisoformat(text).isoformat() == text  # of ISO 8601's forms only the one with dashes
    except ValueError:
        return False


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
    "--as-of", callback=_day, metavar="YYYY-MM-DD",
    help="Consider nothing uploaded after this day; without it, after the day of the first such call.",
)  # fmt: skip
_upgrade = click.option("--upgrade", is_flag=True, help="Resolve anew, as of today.")


everything = click.option(
    "--all", "everything", is_flag=True,
    help="All that the project has itself: every recipe, and every environment with all that it needs.",
)  # fmt: skip


def packages(command: F) -> F:
    """Which packages, for which profiles, as of when; the command passes all but `profiles` and `upgrade` to `read`."""
    return _requirements(_file(_env(_profiles(_as_of(_upgrade(command))))))


def read(
    *,
    requirements: tuple[str, ...],
    file: Path | None,
    target: str | None,
    as_of: str | None,
    search: Search,
    closure: bool,
) -> Order:
    """The order that the options mean; `as_of` is YYYY-MM-DD. Raises UsageFailure where they mean none, or two."""
    from builder.wheels import orders

    if target and (requirements or file):
        raise UsageFailure("--env and requirements exclude each other", next="Run one command for each.")
    if target:
        _require_known(target, search)
        return orders.whole(target, search, as_of=as_of)
    texts = (*requirements, *(orders.read_requirements(file) if file else ()))
    if not texts:
        raise UsageFailure(
            "no package is named",
            next="Name some (numpy==1.26.4, ujson), a file with -r, or an environment with --env.",
        )
    return orders.of(texts, search, closure=closure, as_of=as_of)


def _require_known(name: str, search: Search) -> None:
    """Raises UsageFailure for a bare name that neither an environment nor a recipe has: it is no requirement here."""
    from difflib import get_close_matches

    from packaging.utils import canonicalize_name

    from builder import targets

    known = targets.environment_names(search)
    project = canonicalize_name(name)
    if not BARE.fullmatch(name) or name.endswith(targets.ARCHIVES) or targets.recipe_version(project, search):
        return
    if project not in map(canonicalize_name, known):
        close = get_close_matches(name, known, 1)
        raise UsageFailure(
            f"no environment is named {name}",
            why=f"Did you mean {close[0]}?" if close else "",
            next=f"Environments: {', '.join(known)}. A project of an index is named without --env.",
        )


def read_all(
    project: Project,
    *,
    requirements: tuple[str, ...],
    file: Path | None,
    target: str | None,
    as_of: str | None,
    search: Search,
    closure: bool,
) -> tuple[tuple[Order, ...], tuple[str, ...]]:
    """The orders of all that a project has itself: its recipes, and each of its environments; and which recipes refuse.

    `as_of` is YYYY-MM-DD. Raises UsageFailure where it has neither, ConfigFailure for a recipe or environment that is
    wrong.
    """
    from builder.wheels import orders

    if requirements or file or target:
        raise UsageFailure("--all and names exclude each other", next="Leave out one of them.")
    found, refused = recipes_of(project.root)
    named = sorted(path.parent.name for path in project.root.glob("environments/*/environment.yaml"))
    if not found and not named:
        raise UsageFailure(
            f"{project.root} has no recipe and no environment of its own",
            next="Name packages, or the project's directory with --project.",
        )
    recipes = [orders.of(found, search, closure=closure, as_of=as_of)] if found else []
    return (*recipes, *(orders.whole(name, search, as_of=as_of) for name in named)), tuple(refused)


def recipes_of(base: Path) -> tuple[list[str], list[str]]:
    """Every recipe in package/ and packages/ below `base` as a requirement; for those that refuse, that and why.

    Raises ConfigFailure.
    """
    from builder import recipe
    from ot2deploy.project import PACKAGES

    found: list[str] = []
    refused: list[str] = []
    for file in sorted(file for name in PACKAGES for file in (base / name).glob("*/*/build.py")):
        one = recipe.load(file.parent)
        text = f"{one.name}=={one.version}" if one.version else one.name
        if one.refusal:
            refused.append(f"{text} is left out: {one.refusal.reason}")
        else:
            found.append(text)
    return list(dict.fromkeys(found)), refused


def load_profiles(names: tuple[str, ...]) -> list[Profile]:
    """The profiles of those names, each once."""
    from builder import profile_host

    return [profile_host.load(name) for name in dict.fromkeys(names)]
