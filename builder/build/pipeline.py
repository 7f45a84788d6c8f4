"""One wheel from source: unpack, environment, hooks, checks, honest tag - the story of a build on one screen."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import Any

from builder.build.container import container
from builder.build.cross import Toolchain, config_settings, hook_variables, write_files
from builder.build.durations import remember_seconds
from builder.build.frontend import Frontend
from builder.build.overlay import with_headers_of
from builder.build.parts import Made
from builder.build.place import Place, here
from builder.build.product import check_identity, check_native, expects_native, finish
from builder.build.request import BuildRequest, Built, Uv
from builder.build.sources import Backend, has_extension_sources, read_backend, uses_rust
from builder.build.work import work_directory
from builder.errors import AuditFailure, BuildFailure, ToolFailure
from builder.events import Event, Report, silent
from builder.fetch import public
from builder.places import cache_root
from builder.source import patches
from builder.source.unpack import unpack, verify
from builder.toolchain.choice import parse
from builder.toolchain.compiler import Compiler, find_compiler
from builder.toolchain.headers import prepare_headers
from builder.toolchain.rust import NoRust, Rust, find_rust
from builder.toolchain.sysroot import prepare_sysroot
from builder.wheel import WheelFile


@dataclass(frozen=True, kw_only=True)
class BuildOptions:
    """How to build: `timeout` of each step (s), `jobs` compilers at once, and a toolchain's name (`find_compiler`)."""

    timeout: float = 3600.0
    jobs: int = 1
    offline: bool = False
    toolchain: str = "zig"


def build_wheel(
    request: BuildRequest,
    *,
    uv: Uv,
    out: Path,
    report: Report = silent,
    options: BuildOptions = BuildOptions(),  # frozen
) -> Built:
    """Builds a wheel for the request's profile into `out` and audits it; any number of processes may build at once.

    Raises a BuildFailure that names the project and its log: bad source, missing toolchain part, failed back end,
    time-out, lost machine code, refused by the audit.
    """
    started, log = monotonic(), _log_path(request)
    report(Event(subject=_subject(request), stage="build", message=f"for {request.profile.name}", log=log))
    verify(request.source.path, request.source.sha256, subject=request.name)
    with work_directory() as work, _naming(request, log):
        tree = unpack(request.source.path, work / "source", subdirectory=request.source.subdirectory)
        if recipe := request.recipe:
            patches.apply(tree, [recipe.directory / patch for patch in recipe.patches])
        backend = read_backend(tree)
        if recipe and recipe.setup_py_commands and not (tree / "setup.py").exists():
            message = f"there is no setup.py: its back end {backend.module} is run instead of the recipe's commands"
            report(Event(subject=_subject(request), stage="build", message=message, level="info"))
        compiler = find_compiler(options.toolchain, offline=options.offline)
        if has_extension_sources(tree):  # for pure Python 100 s of CPU would be in vain
            compiler.prepare(request.profile, report=report)
            started = monotonic()  # what is made once for all builds is not this one's time
        with _place(request, compiler, uv, work, options, report) as place:
            toolchain = _toolchain(request, place, compiler, uses_rust(tree, backend), options, work)
            if toolchain.rust:
                _fetch_crates(toolchain.rust, request, tree, log=log, options=options, report=report)
            front = _frontend(
                request, place, work=work, tree=tree, backend=backend, toolchain=toolchain, log=log, options=options
            )
            report(Event(subject=_subject(request), stage="build", message="installing build requirements"))
            requirements = front.install_requirements()
            report(Event(subject=_subject(request), stage="build", message=f"building for {request.profile.name}"))
            with _advising(toolchain):
                made = front.build(work / "wheel")
        wheel = WheelFile.open(made)
        check_identity(wheel, request)
        check_native(wheel, request, expected=expects_native(request, tree), log=log)
        with _advising(toolchain):
            path, found = finish(wheel, request, out, Made(tree=tree, work=work, toolchain=toolchain))
    seconds = monotonic() - started
    remember_seconds(request.name, request.profile, seconds)
    report(Event(subject=_subject(request), stage="build", message=f"{path.name}, {seconds:.0f} s", level="done"))
    provenance = {
        **provenance_of(request, front, toolchain),
        "requirements": list(requirements),
        "audit": {"max_glibc": found.max_glibc, "findings": [str(finding) for finding in found.findings]},
        "log": str(log),
        "seconds": round(seconds, 1),
    }
    return Built(path=path, provenance=provenance, log=log, seconds=seconds)


def provenance_of(request: BuildRequest, front: Frontend, toolchain: Toolchain) -> dict[str, Any]:
    """What a wheel was made of, as JSON values: source, recipe, back end, toolchain, flags."""
    recipe = request.recipe
    return {
        "source": {
            "kind": request.source.kind,
            "sha256": request.source.sha256,
            "url": public(request.source.url),
            "why": request.source.why,
        },
        "recipe": {"name": f"{recipe.name}/{recipe.directory.name}", "digest": recipe.digest} if recipe else None,
        "backend": front.backend.name,
        "as_of": request.as_of,
        "python": front.place.interpreter.version,
        "toolchain": {
            "compiler": {"name": toolchain.compiler.name, **toolchain.compiler.identity},
            "container": front.place.identity,
            "target": front.variables["OT2_CROSS_TARGET"],
            "cpu": request.profile.cpu,
            "headers": dict(toolchain.headers.origin),
            "libraries": dict(toolchain.sysroot.packages) if toolchain.sysroot else {},
            "rust": toolchain.rust.version if toolchain.rust else None,
        },
        "flags": {name: front.variables[name] for name in ("CFLAGS", "CXXFLAGS", "LDFLAGS") if name in front.variables},
    }


def _place(
    request: BuildRequest, compiler: Compiler, uv: Uv, work: Path, options: BuildOptions, report: Report
) -> AbstractContextManager[Place]:
    choice, minor = parse(options.toolchain), request.profile.python
    if not choice.container:
        return here(uv, minor)
    return container(choice, minor=minor, work=work, compiler=compiler, uv=uv, offline=options.offline, report=report)


def _toolchain(
    request: BuildRequest, place: Place, compiler: Compiler, rust: bool, options: BuildOptions, work: Path
) -> Toolchain:
    libraries = request.recipe.libraries if request.recipe else ()
    if rust and place.identity and sys.platform != "linux":
        raise NoRust(
            "Rust projects are built in containers on Linux only",
            why="The container uses this computer's cargo and rustc.",
            next="Build it on a Linux host, or take the wheel from an index that has it.",
        )
    headers = prepare_headers(request.profile, place.interpreter, offline=options.offline)
    return Toolchain(
        compiler=place.compiler(compiler),
        headers=with_headers_of(request.headers_of, headers, work / "headers"),
        sysroot=prepare_sysroot(request.profile, libraries, offline=options.offline),
        rust=find_rust(request.profile, offline=options.offline) if rust else None,
    )


def _fetch_crates(
    rust: Rust, request: BuildRequest, tree: Path, *, log: Path, options: BuildOptions, report: Report
) -> None:
    report(Event(subject=_subject(request), stage="build", message="fetching crates"))
    for message in rust.fetch(tree, log=log, timeout=options.timeout, offline=options.offline):
        report(Event(subject=_subject(request), stage="build", message=message, level="warning"))


def _frontend(
    request: BuildRequest,
    place: Place,
    *,
    work: Path,
    tree: Path,
    backend: Backend,
    toolchain: Toolchain,
    log: Path,
    options: BuildOptions,
) -> Frontend:
    recipe = request.recipe
    files = write_files(work / "files", request.profile, jobs=options.jobs, seen=place.seen)
    venv, scratch = work / "venv", work / "tmp"
    scratch.mkdir()
    variables = hook_variables(
        request.profile,
        toolchain,
        files,
        venv=venv,
        tree=tree,
        jobs=options.jobs,
        recipe=recipe,
        search=place.search,
    )
    if not (tree / "PKG-INFO").exists():  # a tag archive: setuptools-scm and its kin would ask git
        variables = {"SETUPTOOLS_SCM_PRETEND_VERSION": request.version, **variables}
    return Frontend(
        request=request,
        place=place,
        tree=tree,
        venv=venv,
        backend=backend,
        variables=variables,
        settings=config_settings(backend.module, files, recipe),
        log=log,
        deadline=options.timeout,
        scratch=scratch,
    )


@contextmanager
def _naming(request: BuildRequest, log: Path) -> Iterator[None]:
    """Gives what goes wrong inside the project as its subject and the log as what to look at."""
    try:
        yield
    except BuildFailure as failure:
        if not failure.subject:
            failure.subject = _subject(request)
            failure.args = (f"{failure.subject}: {failure.what}",)
        failure.next = failure.next or f"Log: {log}"
        raise


@contextmanager
def _advising(toolchain: Toolchain) -> Iterator[None]:
    """Adds what can be done about crates that need a younger compiler, and a wheel that needs a newer system."""
    try:
        yield
    except ToolFailure as failure:
        if toolchain.rust:
            failure.why = failure.why or toolchain.rust.advice(failure.output)
        raise
    except AuditFailure as failure:
        if any("-too-new" in line for line in failure.details):
            failure.next = failure.next or toolchain.compiler.advice
        raise


def _subject(request: BuildRequest) -> str:
    return f"{request.name} {request.version}"


def _log_path(request: BuildRequest) -> Path:
    directory = cache_root() / "logs" / "build"
    directory.mkdir(parents=True, exist_ok=True)
    moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%f")
    return directory / f"{request.name}-{request.version}-{request.profile.name}-{moment}.log"
