"""The images that builds run in: the one the user names, one made from Debian packages, or Docker's own Python."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from builder.docker import image_archive
from builder.docker.engine import Engine
from builder.docker.image_archive import Platform
from builder.errors import DockerFailure, OfflineFailure, ToolFailure
from builder.events import Event, Report
from builder.files import digest_of, locked
from builder.places import cache_root
from builder.run import environment, run
from builder.toolchain import apt

SUITE = "bookworm"
REVISION = 1  # raise it when the same packages shall make another image
# Python 3.11 with headers; the C compiler is for what builds compile for themselves (Rust's build scripts), the last
# three are libraries of Debian's Rust compiler.
PACKAGES = ("python3", "libpython3.11-dev", "gcc", "libc6-dev", "make", "pkg-config", "libedit2", "libxml2", "libz3-4")
TIMEOUT = 1200.0  # seconds
LABEL = "ot2deploy.build.image"
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def ensure_image(image: str, minor: str, engine: Engine, report: Report, *, offline: bool = False) -> str:
    """The image that builds for a minor ("3.10") run in, made or got when it is not there; what Docker calls it.

    `image` is the user's; without one it is made from Debian packages where this host can do that, else it is
    python:MINOR-slim-bookworm. Raises DockerFailure, OfflineFailure, ToolFailure.
    """
    service = engine.service().machine
    if not image and service == _own_machine() and shutil.which("mmdebstrap"):
        return _debian(ARCHITECTURES[service], engine, report, offline=offline)
    name = image or f"python:{minor}-slim-{SUITE}"
    if engine.has_image(name):
        return name
    if offline:
        raise _offline(name)
    report(Event(subject=name, stage="toolchain", message="getting the image"))
    try:
        engine.pull(name, str(Platform(architecture=ARCHITECTURES.get(service, "amd64"))))
    except DockerFailure as failure:
        failure.next = "Name an image that can be had: --toolchain container=IMAGE. On Debian, install mmdebstrap."
        raise
    return name


def _own_machine() -> str:
    import platform

    return platform.machine() if sys.platform == "linux" else ""


def _offline(name: str) -> OfflineFailure:
    return OfflineFailure(
        f"the image {name} is not here, and --offline is set",
        next="Run the same command once without --offline where there is internet.",
    )


def bootstrap(architecture: str, target: str, archive: str = "") -> tuple[str, ...]:
    """The mmdebstrap call that makes the image's one layer."""
    return (
        "mmdebstrap", "--quiet", "--variant=essential", f"--architectures={architecture}",
        f"--include={','.join(PACKAGES)}", "--aptopt=Apt::Install-Recommends \"false\"",
        "--dpkgopt=path-exclude=/usr/share/doc/*", "--dpkgopt=path-exclude=/usr/share/man/*",
        "--dpkgopt=path-exclude=/usr/share/locale/*", SUITE, target, *filter(None, [archive]),
    )  # fmt: skip


def _debian(architecture: str, engine: Engine, report: Report, *, offline: bool) -> str:
    digest = digest_of([REVISION, bootstrap(architecture, "LAYER")])
    tag = f"ot2deploy-build-{architecture}:{digest[:12]}"
    with locked(cache_root() / "toolchain" / "image.lock"):
        if engine.has_image(tag):
            return tag
        if offline:
            raise _offline(tag)
        report(Event(subject=tag, stage="toolchain", message=f"making it from Debian {SUITE}'s packages (once)"))
        with tempfile.TemporaryDirectory(prefix="ot2-image-") as name:
            layer, archive = Path(name) / "layer.tar", Path(name) / "image.tar"
            argv = bootstrap(architecture, str(layer), apt.archive(SUITE))
            try:
                run(argv, timeout=TIMEOUT, env=environment({"SOURCE_DATE_EPOCH": "0", "TMPDIR": name}))
            except ToolFailure as failure:
                failure.next = "Name an image of a registry instead: --toolchain container=python:3.11-slim-bookworm"
                raise
            image_archive.write(
                archive, layer, Platform(architecture=architecture), tag=tag, command=("sh",),
                labels={LABEL: digest}, environment={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
            )  # fmt: skip
            engine.load_image(archive)
        report(Event(subject=tag, stage="toolchain", message="made", level="done"))
    return tag
