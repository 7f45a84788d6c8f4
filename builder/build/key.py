"""What decides the bytes of a wheel that is built, as one digest: what was made of the same is not made again."""

from __future__ import annotations

import functools

from builder.build.frontend import HOOK
from builder.build.parts import source_part
from builder.build.request import BuildRequest
from builder.docker import engine
from builder.errors import BuildFailure
from builder.events import Report, silent
from builder.files import digest_of, sha256_file
from builder.toolchain import headers, sysroot
from builder.toolchain.choice import parse
from builder.toolchain.compiler import identity_of
from builder.toolchain.container_image import ensure_image
from builder.toolchain.interpreter import find_interpreter
from builder.toolchain.rust import find_rust
from builder.toolchain.wrapper import DATA

FORMAT = 1  # raise it when we write another wheel of the same things: another tag, bill of materials, packing


def build_key(
    request: BuildRequest, toolchain: str, *, rust: bool, offline: bool = False, report: Report = silent
) -> str:
    """Digest of source, recipe, profile, day, headers, libraries, compilers, image and our own part in a build.

    `rust` says that the build calls cargo. Static libraries, Rust and a container's image are got where they are not
    here yet, as the build would. Raises what getting them raises.
    """
    recipe, profile = request.recipe, request.profile
    libraries = sysroot.prepare_sysroot(profile, recipe.libraries if recipe else (), offline=offline)
    compiler = find_rust(profile, offline=offline) if rust else None
    return digest_of(
        {
            "own": own(),
            "project": [request.name, request.version],
            "source": [request.source.sha256, request.source.subdirectory, source_part(request).purl],
            "recipe": recipe and recipe.digest,
            "profile": profile.key,
            "as_of": request.as_of,
            "headers_of": [sha256_file(wheel.path) for wheel in request.headers_of],
            "libraries": libraries and dict(libraries.packages),
            "compiler": identity_of(toolchain, offline=offline),
            "rust": compiler and [compiler.version, compiler.commit, compiler.host],
            "python": _python(profile.python),
            "image": _image(toolchain, profile.python, offline=offline, report=report),
        }
    )


def _python(minor: str) -> str | None:
    """The version of the CPython that back ends run in, where there is one here.

    Its C headers are compiled against where the target's distribution gives none, and their inline functions and
    PY_VERSION differ between patch versions. Debian's own headers are not in the key: they stay those of one upstream
    version as long as that Debian is supported.
    """
    try:
        return find_interpreter(minor).version
    except BuildFailure:  # the build will say what to install, unless its container has one
        return None


def _image(toolchain: str, minor: str, *, offline: bool, report: Report) -> str | None:
    """The id of the image that builds run in: its name stays the same when it is made or got anew.

    Its CPython, with headers, and the compiler for what builds run themselves come from it.
    """
    choice = parse(toolchain)
    if not choice.container:
        return None
    docker = engine.connect()
    return docker.identity(ensure_image(choice.image, minor, docker, report, offline=offline))


@functools.cache
def own() -> str:
    """Digest of our own part in every build: the formats, and the files that its programs run or read."""
    files = [HOOK, *sorted(path for path in DATA.iterdir() if path.is_file())]
    return digest_of([FORMAT, headers.FORMAT, sysroot.FORMAT, *([path.name, sha256_file(path)] for path in files)])
