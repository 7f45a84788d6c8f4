"""`ot2deploy toolchain`: what wheels for a profile are built with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ot2deploy.cli import options, units
from ot2deploy.cli.result import Answer, Shown, lines, table

if TYPE_CHECKING:
    from builder.profile import Profile


@click.group("toolchain")
def command() -> None:
    """What wheels are built with: show, prepare."""


@command.command("show")
@options.profiles
@options.offline
@options.output
def show(profiles: tuple[str, ...], offline: bool) -> Shown:
    """Show compiler, target, headers and the variables that a build back end sees.

    Headers are made when they are not there yet.
    """
    told = [_described(profile, offline=offline) for profile in _load(profiles)]
    parts = tuple(
        table(("what", "is"), [(name, str(value)) for name, value in one.items() if value], title=str(one["profile"]))
        for one in told
    )
    return Shown(result=Answer(data={"toolchains": told}), parts=parts)


@command.command("prepare")
@options.profiles
@options.output
def prepare(profiles: tuple[str, ...]) -> Shown:
    """Make the compiler's libraries for a profile now, once; otherwise the first build does."""
    from builder.toolchain.compiler import find_compiler

    compiler = find_compiler("zig")
    with options.reporting() as report:
        took = {profile.name: compiler.prepare(profile, report=report) for profile in _load(profiles)}
    told = [f"{name}: prepared in {units.seconds(s)}" if s else f"{name}: no change" for name, s in took.items()]
    return Shown(result=Answer(data={"seconds": took}), parts=(lines(*told),))


def _load(names: tuple[str, ...]) -> list[Profile]:
    from builder import profile_host

    return [profile_host.load(name) for name in names]


def _described(profile: Profile, *, offline: bool) -> dict[str, str]:
    from builder.toolchain.compiler import find_compiler
    from builder.toolchain.headers import module_name, prepare_headers

    compiler = find_compiler("zig")
    headers = prepare_headers(profile, offline=offline)
    return {
        "profile": profile.name,
        "compiler": compiler.name,
        "headers": ", ".join(f"{name} {value}" for name, value in headers.origin.items()),
        "sysconfig": f"{module_name(profile)} in {headers.site}",
        **compiler.variables(profile, include=headers.include),
    }
