"""What a build made: is it the wheel that was asked for, does it hold its machine code, and what may it be called."""

from __future__ import annotations

import fnmatch
from pathlib import Path

from packaging.utils import canonicalize_name
from packaging.version import Version

from builder.audit import Audit, audit, proven_platform
from builder.build.log import telling_lines
from builder.build.parts import Made, bill_of
from builder.build.request import BuildRequest
from builder.build.sources import has_extension_sources
from builder.build.traces import OBJECT, Traces
from builder.errors import BuildFailure
from builder.wheel import WheelFile
from builder.wheel.writer import rewrite


class LostNative(BuildFailure):
    """A build ended well and its wheel has none of the machine code that it should hold."""

    code = "build-lost-native"


class WrongWheel(BuildFailure):
    """A build made a wheel of another project, version, interpreter or machine than was asked for."""

    code = "build-wrong-wheel"


def expects_native(request: BuildRequest, tree: Path) -> bool:
    """Whether the wheel must hold a shared object: the recipe says it, else the caller, else the sources."""
    if request.recipe and request.recipe.native is not None:
        return bool(request.recipe.native)
    return has_extension_sources(tree) if request.expects_native is None else request.expects_native


def check_identity(wheel: WheelFile, request: BuildRequest) -> None:
    """Raises WrongWheel unless name, version and tags are the ones asked for."""
    subject = f"{request.name} {request.version}"
    names = canonicalize_name(wheel.name), canonicalize_name(request.name)
    if names[0] != names[1] or Version(wheel.version) != Version(request.version):
        raise WrongWheel(f"its build made {wheel.name} {wheel.version}", subject=subject)
    if not wheel.tags.intersection(request.profile.tags):
        tags = ", ".join(sorted(map(str, wheel.tags)))
        raise WrongWheel(
            f"its build made a wheel for {tags}",
            subject=subject,
            why=f"It does not fit {request.profile.name}: the build did not see that it is cross-compiled.",
        )


def check_native(wheel: WheelFile, request: BuildRequest, *, expected: bool, log: Path) -> None:
    """Raises LostNative, with the telling lines of the log, when shared objects that should be there are not."""
    objects = [member.name for member in wheel.members if OBJECT.search(member.name)]
    globs = (request.recipe.native or ()) if request.recipe else ()
    missing = [glob for glob in globs if not any(fnmatch.fnmatch(name, glob) for name in objects)]
    if missing or (expected and not objects):
        raise LostNative(
            f"its wheel lacks {', '.join(missing)}" if missing else "its build silently turned pure: no .so inside",
            subject=f"{request.name} {request.version}",
            why="An optional extension did not compile, and the back end went on without it.",
            next=f"Log: {log}",
            details=telling_lines(log),
        )


def finish(wheel: WheelFile, request: BuildRequest, out: Path, made: Made) -> tuple[Path, Audit]:
    """Audits the wheel and writes it into `out` under the platform tag it proves, with its bill of materials.

    The recipe's revision becomes the build tag. Raises AuditFailure with what refuses it, LeakedPaths.
    """
    found = audit(wheel.path, request.profile)
    found.require()
    revision = request.recipe.revision if request.recipe else 0
    platform = None if wheel.is_pure else proven_platform(found.binaries, request.profile)
    bill = bill_of(wheel, request, made)
    traces = Traces(request, made.work)
    build = str(revision) if revision else None
    path = rewrite(wheel, out, platform=platform, build=build, change=traces.change, added=[bill])
    traces.require_none(path)
    return path, found
