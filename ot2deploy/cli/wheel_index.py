"""--build-type: whether wheels are made, put into an index, or both; the options of it, and what follows from them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click
from click.core import ParameterSource

from builder.errors import UsageFailure
from ot2deploy.cli import index_build, index_options

if TYPE_CHECKING:
    from builder.engine import Engine
    from builder.events import Report
    from builder.index.entry.offers import Offer
    from builder.profile import Profile
    from builder.wheels import Wheels
    from ot2deploy.project import Project

F = TypeVar("F", bound=Callable[..., Any])
PACKAGES, INDEX, BOTH = "packages-only", "index-only", "both"
OF_WHEELS = ("everything", "with_dependencies", "from_source", "test", "explain", "as_of", "upgrade")  # what makes them


@dataclass(frozen=True, kw_only=True)
class Indexing:
    """What is to be made, and where the index is."""

    build_type: str
    directory: Path
    root_url: str | None

    @property
    def packages(self) -> bool:
        """Whether wheels are made."""
        return self.build_type != INDEX

    @property
    def index(self) -> bool:
        """Whether wheels enter the index."""
        return self.build_type != PACKAGES

    def check(self, *, requirements: tuple[str, ...], file: Path | None, target: str | None, **_: Any) -> None:
        """Raises UsageFailure for options that cannot be meant together."""
        if not self.packages:
            if requirements or file or target:
                raise UsageFailure(
                    "--build-type index-only takes what is in dist/, and no package's name",
                    next="Leave out the names, or make their wheels, too: --build-type both",
                )
            if said := _given(OF_WHEELS):
                raise UsageFailure(
                    f"{', '.join(said)} {'is' if len(said) == 1 else 'are'} about making wheels, "
                    "and --build-type index-only makes none",
                    next=f"Leave out {', '.join(said)}, or make wheels, too: --build-type both",
                )
        if not self.index and self.root_url is not None:
            raise UsageFailure("--index-root-url is of an index, and none is made", next="Add: --build-type both")

    def made(
        self, project: Project, engine: Engine, wheels: Wheels, profiles: list[Profile], report: Report
    ) -> index_build.Result:
        """Puts wheels that were just made into the index; what else lies beside them stays out."""
        from builder.index.entry.offers import Offer

        known = {profile.name: profile for profile in profiles}
        offered = tuple(Offer(path=made.path, profiles=(known[made.profile],)) for made in wheels.made)
        return self._fill(project, engine, offered, report)

    def dist(
        self, project: Project, engine: Engine, dist: Path, profiles: list[Profile], report: Report
    ) -> index_build.Result:
        """Puts into the index what lies in `dist`, for the profiles that the command line names or for all."""
        from builder.index.entry.offers import offers

        named = click.get_current_context().get_parameter_source("profiles") != ParameterSource.DEFAULT
        return self._fill(project, engine, offers([dist], profiles if named else [], engine.store), report)

    def _fill(self, project: Project, engine: Engine, offered: tuple[Offer, ...], report: Report) -> index_build.Result:
        from builder.index.entry.collect import How
        from builder.index.layout import PROD

        return index_build.fill(project, self.directory, self.root_url, offered, engine, How(channel=PROD), report)


def _given(names: tuple[str, ...]) -> list[str]:
    """The options of the command under way, of those names, that its command line has."""
    context = click.get_current_context()
    return [
        parameter.opts[0]
        for parameter in context.command.params
        if parameter.name in names and context.get_parameter_source(parameter.name) == ParameterSource.COMMANDLINE
    ]


_build_type = click.option(
    "--build-type", type=click.Choice([PACKAGES, INDEX, BOTH]), default=PACKAGES, show_default=True,
    help="Make wheels, put those that are there into an index, or make them and put them there.",
)  # fmt: skip
_directory = click.option(
    "--index-tree-root", "directory", type=click.Path(path_type=Path, file_okay=False), default=Path("index"),
    show_default=True, metavar="DIR", help="The index; relative to the project.",
)  # fmt: skip


def options(command: F) -> F:
    """--build-type, --index-tree-root and --index-root-url; the command gets them as `indexing`."""

    @functools.wraps(command)
    def with_indexing(*, build_type: str, directory: Path, root_url: str | None, **rest: Any) -> Any:
        return command(indexing=Indexing(build_type=build_type, directory=directory, root_url=root_url), **rest)

    return cast(F, _build_type(_directory(index_options.root_url(with_indexing))))
