"""`ot2deploy toolchain`: what wheels for a profile are built with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ot2deploy.cli import options, units
from ot2deploy.cli.group import Group
from ot2deploy.cli.result import Answer, Shown, lines, table

if TYPE_CHECKING:
    from builder.profile import Profile


@click.group("toolchain", cls=Group)
def command() -> None:
    """What wheels are built with: show, prepare."""


@command.command("show")
@options.profiles
@options.toolchain
@options.offline
@options.output
def show(profiles: tuple[str, ...], toolchain: str, offline: bool) -> Shown:
    """Show compiler, target, headers and the variables that a build back end sees.

    Headers and a compiler's archive are got when they are not there yet. BUILD stands for the build's own directory.
    """
    told = [_described(profile, toolchain, offline=offline) for profile in _load(profiles)]
    parts = tuple(
        table(
            ("what", "is"),
            [(name, _text(value)) for name, value in {**one, **one["variables"]}.items() if name != "variables"],
            title=str(one["profile"]),
        )
        for one in told
    )
    return Shown(result=Answer(data={"toolchains": told}), parts=parts)


@command.command("prepare")
@options.profiles
@options.toolchain
@options.offline
@options.output
def prepare(profiles: tuple[str, ...], toolchain: str, offline: bool) -> Shown:
    """Make the compiler's libraries and the container's image now, once; otherwise the first build does."""
    from builder.docker import engine as docker_engine
    from builder.toolchain.choice import parse
    from builder.toolchain.compiler import find_compiler
    from builder.toolchain.container_image import ensure_image

    choice, wanted = parse(toolchain), _load(profiles)
    with options.reporting() as report:
        compiler = find_compiler(toolchain, offline=offline)
        took = {profile.name: compiler.prepare(profile, report=report) for profile in wanted}
        images = {}
        if choice.container:
            docker = docker_engine.connect()
            for profile in wanted:
                images[profile.name] = ensure_image(choice.image, profile.python, docker, report, offline=offline)
    told = [f"{name}: prepared in {units.seconds(s)}" if s else f"{name}: no change" for name, s in took.items()]
    told += [f"{name}: image {image}" for name, image in images.items()]
    return Shown(result=Answer(data={"seconds": took, "images": images}), parts=(lines(*told),))


def _load(names: tuple[str, ...]) -> list[Profile]:
    from builder import profile_host

    return [profile_host.load(name) for name in names]


def _described(profile: Profile, toolchain: str, *, offline: bool) -> dict[str, Any]:
    from builder.build.cross import shown_variables
    from builder.toolchain.compiler import find_compiler, identity_of
    from builder.toolchain.headers import prepare_headers

    compiler = find_compiler(toolchain, offline=offline)
    headers = prepare_headers(profile, offline=offline)
    return {
        "profile": profile.name,
        "compiler": compiler.name,
        "identity": identity_of(toolchain, offline=offline),
        "headers": dict(headers.origin),
        "variables": shown_variables(profile, compiler, headers),
    }


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_text(part)}" for name, part in value.items())
    return " ".join(value) if isinstance(value, list | tuple) else str(value)
