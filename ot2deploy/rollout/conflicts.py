"""Why wheels cannot be shared on a robot: the modules that its own software or somebody else has already. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import PurePosixPath

from builder.bundle import Bundle
from builder.provided import Conflict
from builder.wheel import WheelFile
from ot2deploy.errors import RobotUnsupported, SharedConflict
from ot2deploy.robots.surroundings import Modules, Place, Surroundings

MODULES = (".py", ".pyc", ".so")
# What these do is done for us by Python itself (namespaces without __init__), or by the system's setuptools.
NEEDLESS = ("-nspkg.pth", "distutils-precedence.pth")


def refused(robot: str, clashes: Sequence[str]) -> SharedConflict:
    """The failure that tells all of them."""
    rest = f" (and {len(clashes) - 1} more)" if len(clashes) > 1 else ""
    return SharedConflict(
        f"cannot be shared: {clashes[0]}{rest}",
        subject=robot,
        why="Protocols and Jupyter import the robot's own packages first, and files of others are never replaced. "
        "Nothing was sent.",
        next="Ask for versions that are content with them, or push without --shared, for programs of your own.",
        details=tuple(clashes) if len(clashes) > 1 else (),
    )


def ignored(there: Surroundings) -> RobotUnsupported:
    """The failure of robots whose software does not look into the directory of user packages."""
    return RobotUnsupported(
        "its software ignores user packages, so nothing can be shared with protocols",
        subject=there.robot,
        why=f"{there.site} is not on the sys.path of its Python; robot software 7.2.0 to 7.2.2 lacks the line for it.",
        next="Update the robot's software with the Opentrons App, or push without --shared.",
    )


def of_versions(conflicts: Iterable[Conflict], there: Surroundings) -> list[str]:
    """Conflicts of a resolution; what somebody installed by hand is told as that."""
    return [
        str(one).partition(";")[0] + f"; {one.name} {one.version} was installed by hand: pip uninstall {one.name}"
        if one.name in there.by_hand
        else str(one)
        for one in conflicts
    ]


def of_modules(bundle: Bundle, there: Surroundings) -> list[str]:
    """What modules and files of a bundle's wheels are in conflict with what is on the robot."""
    wheels = [WheelFile.open(blob.path) for blob in bundle.blobs]
    return [clash for wheel in wheels for clash in _of_wheel(wheel, there)]


def _of_wheel(wheel: WheelFile, there: Surroundings) -> Iterator[str]:
    who = f"{wheel.name} {wheel.version}"
    paths = [path for member in wheel.members if (path := installed(member.name))]
    for path in paths:
        if path.suffix == ".pth" and len(path.parts) == 1 and not path.name.endswith(NEEDLESS):
            yield f"{who} needs {path.name}, and .pth files are not read among user packages"
    for name, inside in sorted(modules(paths).items()):
        if name in there.builtin:
            yield f"{who} brings the module {name}, which is built into the robot's Python"
        for place in there.places:
            if clash := _with(place, name, inside):
                yield f"{who} brings {clash}"


def _with(place: Place, name: str, inside: tuple[str, ...] | None) -> str:
    """What a module clashes with in a place, "" where it does not. Directories without __init__ share their name."""
    if name not in place.modules:
        return ""
    theirs = place.modules[name]
    if place.by_hand:
        return f"the module {name}, which was installed by hand: {place.path}/{name}"
    if inside is None or theirs is None:
        return f"the module {name}, which the robot's own software has in {place.path}"
    both = sorted(set(inside) & set(theirs) - {"__pycache__"})
    return f"the module {name}.{both[0]}, which the robot's own software has in {place.path}" if both else ""


def installed(member: str) -> PurePosixPath | None:
    """Where a wheel's member stands in site-packages; None for papers and for what is installed elsewhere."""
    parts = PurePosixPath(member).parts
    if parts[0].endswith(".data"):
        return PurePosixPath(*parts[2:]) if len(parts) > 2 and parts[1] in ("purelib", "platlib") else None
    return None if parts[0].endswith(".dist-info") else PurePosixPath(*parts)


def modules(paths: Iterable[PurePosixPath]) -> Modules:
    """What can be imported of files in site-packages, as a robot's own is told."""
    found: dict[str, tuple[str, ...] | None] = {}
    inside: dict[str, set[str]] = {}
    for path in paths:
        name = path.parts[0].split(".")[0]
        if len(path.parts) == 1:
            if path.name.endswith(MODULES):
                found[name] = None
        elif path.parts[0].isidentifier() and name != "__pycache__":
            inside.setdefault(name, set()).add(path.parts[1].split(".")[0])
            if len(path.parts) == 2 and path.name.endswith(MODULES) and path.name.split(".")[0] == "__init__":
                found[name] = None
    return {**{name: tuple(sorted(names)) for name, names in inside.items()}, **found}
