"""`./build-packages`: the options of Opentrons' package builder, each said in our words, or refused with the reason."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from builder.errors import Failure, UsageFailure
from ot2deploy.cli import main as ot2deploy
from ot2deploy.cli.wheel_order import recipes_of
from ot2deploy.project import PACKAGES

PROFILE = "ot2-py310"  # the only robots that the old builder made wheels for
IMAGE = "python:3.10-slim-bookworm"
DEFAULTS = {"container_tag": "main", "build_tree_root": "./build", "dist_tree_root": "./dist"}
INDEX = ("index_tree_root", "index_root_url")


@dataclass(frozen=True, kw_only=True)
class Equivalent:
    """The command line of ot2deploy that does the same, and what is to be said about options with no effect."""

    words: tuple[str, ...]
    notes: tuple[str, ...] = ()


def parser() -> argparse.ArgumentParser:
    """The options as the old builder had them, also those of its container; no defaults, to know what was given."""
    made = argparse.ArgumentParser(
        prog="build-packages",
        description="Builds packages for OT-2 robots. Prints the ot2deploy command that it runs.",
        epilog="Without PACKAGE every recipe of this checkout's package/ and packages/ is built. Exit status: 0 done, "
        "1 a package failed, 2 an option or the setup is wrong.",
    )
    made.add_argument(
        "packages", nargs="*", metavar="PACKAGE", help="a recipe's project, or a requirement such as a==1"
    )
    made.add_argument("--output", "-o", metavar="FILE", help="where what the tools print goes; - is standard output")
    made.add_argument("--verbose", action="store_true", default=None, help="show what the tools print")
    made.add_argument("--container-tag", metavar="TAG", help="only 'main': there is no published image to choose from")
    made.add_argument(
        "--container-source", choices=["build", "pull", "any"],
        help="build or pull: compile in a container; any: on this machine, which needs none",
    )  # fmt: skip
    made.add_argument(
        "--prep-container-only", action="store_true", default=None, help="prepare what compiles, build nothing"
    )
    made.add_argument("--dist-tree-root", metavar="DIR", help="where the wheels go (default: ./dist)")
    made.add_argument("--build-tree-root", metavar="DIR", help="only ./build: builds work in temporary directories")
    made.add_argument("--index-tree-root", metavar="DIR", help="where the index is (default: ./index)")
    made.add_argument(
        "--index-root-url", metavar="URL", help="what links begin with (default: nothing, relative links)"
    )
    made.add_argument(
        "--build-type", choices=["packages-only", "index-only", "both"], help="what is made (default: both)"
    )
    made.add_argument("--package-repo-base", metavar="DIR", help="the directory above package/ or packages/")
    made.add_argument("--buildroot-sdk-base", metavar="DIR", help="compile with the GCC of this SDK")
    return made


def equivalent(given: argparse.Namespace, root: Path) -> Equivalent:
    """What the options mean. Raises one UsageFailure for all that cannot be done."""
    _refuse(given)
    base = Path(given.package_repo_base or root)
    notes = list(_notes(given))
    toolchain = _toolchain(given)
    if given.prep_container_only:
        return Equivalent(words=("toolchain", "prepare", "--profile", PROFILE, *toolchain), notes=tuple(notes))
    packages = tuple(given.packages)
    if not packages and given.build_type != "index-only":
        found, refused = recipes_of(base)
        if not found:
            raise UsageFailure(
                "there is no recipe to build",
                why=f"None stands in {' or '.join(str(base / name) for name in PACKAGES)}.",
                next="Name packages.",
            )
        packages = tuple(found)
        notes += refused
    words = ["wheel", "build", *packages, "--profile", PROFILE, "--build-type", given.build_type or "both"]
    if base.resolve() != Path.cwd():
        words += ["--project", str(base)]
    for name in ("dist_tree_root", *(INDEX if given.build_type != "packages-only" else ()), "output"):
        if value := getattr(given, name):
            words += [_option(name), value]
    if given.verbose:
        words.append("--verbose")
    return Equivalent(words=(*words, *toolchain), notes=tuple(notes))


def main(argv: Sequence[str], root: str) -> NoReturn:
    """Prints the equivalent command on standard error, and runs it."""
    try:
        meant = equivalent(parser().parse_args(argv), Path(root))
    except Failure as failure:
        print("\n".join(failure.lines()), file=sys.stderr)
        sys.exit(failure.exit_code)
    for note in meant.notes:
        print(f"note: {note}", file=sys.stderr)
    print(f"$ ot2deploy {shlex.join(meant.words)}", file=sys.stderr, flush=True)
    ot2deploy(meant.words)


def _refuse(given: argparse.Namespace) -> None:
    reasons = {
        "container_tag": "images of the old builder hold one SDK; name one of yours: ot2deploy wheel build "
        "--toolchain container=IMAGE",
        "build_tree_root": "builds work in temporary directories that are removed; logs are named where a build fails",
    }
    wrong = [
        f"{_option(name)} {getattr(given, name)}: {reason}"
        for name, reason in reasons.items()
        if getattr(given, name) not in (None, DEFAULTS[name])
    ]
    if wrong:
        raise UsageFailure("these options cannot be followed", details=tuple(wrong), next="Run: build-packages --help")


def _notes(given: argparse.Namespace) -> Iterator[str]:
    for name in INDEX if given.build_type == "packages-only" else ():
        if getattr(given, name):
            yield f"{_option(name)} has no effect on wheels alone"
    if given.container_source == "any":
        yield "--container-source any: zig compiles on this machine, which needs no container"
    if given.prep_container_only and given.packages:
        yield f"{', '.join(given.packages)} will not be built: --prep-container-only"


def _toolchain(given: argparse.Namespace) -> tuple[str, ...]:
    container = {"build": "container", "pull": f"container={IMAGE}"}.get(given.container_source or "")
    compiler = f"gcc:{given.buildroot_sdk_base}" if given.buildroot_sdk_base else ""
    name = ":".join(filter(None, (container, compiler)))
    return ("--toolchain", name) if name else ()


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"
