"""The environment of a back end's process, and of nothing else: host tools run clean, hooks see the target."""

from __future__ import annotations

import os
import shlex
import shutil
import string
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from builder.profile import Profile
from builder.recipe import Recipe
from builder.toolchain.compiler import Compiler
from builder.toolchain.headers import Headers
from builder.toolchain.rust import Rust
from builder.toolchain.sysroot import Sysroot
from builder.toolchain.wrapper import DATA

EPOCH = "315532800"  # 1980-01-01, the earliest time that a zip can hold
TEMPLATES = {"meson": "meson.ini", "cmake": "toolchain.cmake", "setup_cfg": "setup.cfg", "site": "config.site"}
RUNNER = "ot2-run"
FAMILY = {"armv7l": "arm", "aarch64": "aarch64", "x86_64": "x86_64"}
POINTER = {"armv7l": "4", "aarch64": "8", "x86_64": "8"}
LONG_DOUBLE = {"armv7l": "IEEE_DOUBLE_LE", "aarch64": "IEEE_QUAD_LE", "x86_64": "INTEL_EXTENDED_16_BYTES_LE"}


@dataclass(frozen=True, kw_only=True)
class Toolchain:
    """All that makes code for a profile: compiler, headers, static libraries, and Rust where it is used."""

    compiler: Compiler
    headers: Headers
    sysroot: Sysroot | None = None
    rust: Rust | None = None


@dataclass(frozen=True, kw_only=True)
class Files:
    """Configuration files that build systems are pointed at."""

    meson: Path
    cmake: Path
    setup_cfg: Path
    site: Path


def write_files(
    directory: Path, profile: Profile, *, jobs: int, seen: Callable[[str], str] = lambda path: path
) -> Files:
    """Writes the build systems' configuration files for a profile, with paths as `seen` gives them."""
    values = {
        "machine": profile.machine,
        "family": FAMILY[profile.machine],
        "pointer": POINTER[profile.machine],
        "longdouble": LONG_DOUBLE[profile.machine],
        "jobs": str(jobs),
        "triple": profile.triple,
        "runner": seen(str(directory / RUNNER)),
    }
    directory.mkdir(parents=True, exist_ok=True)
    for name in TEMPLATES.values():
        (directory / name).write_text(string.Template((DATA / name).read_text()).substitute(values))
    shutil.copy(DATA / RUNNER, directory)
    (directory / RUNNER).chmod(0o755)
    return Files(**{field: directory / name for field, name in TEMPLATES.items()})


def hook_variables(
    profile: Profile,
    toolchain: Toolchain,
    files: Files,
    *,
    venv: Path,
    tree: Path,
    jobs: int,
    recipe: Recipe | None,
    search: str,
) -> dict[str, str]:
    """The variables that a hook's process gets on top of the cleaned environment; `search` is the PATH of its place."""
    sysroot = toolchain.sysroot.path if toolchain.sysroot else None
    path = [str(venv / "bin"), str(toolchain.compiler.directory), search]
    variables = {
        **toolchain.compiler.variables(profile, include=toolchain.headers.include, sysroot=sysroot),
        **_determinism(),
        "PATH": os.pathsep.join(path),
        "VIRTUAL_ENV": str(venv),
        "OT2_CROSS_WORK": str(venv.parent),
        "OT2_CROSS_MACHINE": profile.machine,
        "OT2_CROSS_GLIBC": ".".join(map(str, profile.glibc or ())),
        # Python answers as the target's. Never seen by the front end: uv would then install the target's wheels here.
        "PYTHONPATH": str(toolchain.headers.site),
        "_PYTHON_SYSCONFIGDATA_NAME": toolchain.headers.module,
        "_PYTHON_HOST_PLATFORM": f"linux-{profile.machine}",
        # No library of the host may leak in; an empty LIBDIR would mean the host's.
        "PKG_CONFIG_LIBDIR": str((sysroot or venv / "none") / "lib" / "pkgconfig"),
        "PKG_CONFIG_PATH": "",
        "CMAKE_TOOLCHAIN_FILE": str(files.cmake),
        "CMAKE_BUILD_PARALLEL_LEVEL": str(jobs),
        "DIST_EXTRA_CONFIG": str(files.setup_cfg),
        "CONFIG_SITE": str(files.site),
    }
    rust = toolchain.rust
    compilers = rust.variables(profile, toolchain.headers, sysroot, tree) if rust else _compilers()
    return {**variables, **compilers, **(_of_recipe(recipe) if recipe else {})}


def shown_variables(profile: Profile, compiler: Compiler, headers: Headers) -> dict[str, str]:
    """The variables of a hook of a project in C that has no recipe, for people: BUILD is the build's directory."""
    work, toolchain = Path("BUILD"), Toolchain(compiler=compiler, headers=headers)
    files = Files(**{field: work / "files" / name for field, name in TEMPLATES.items()})
    venv, tree = work / "venv", work / "source"
    return hook_variables(
        profile, toolchain, files, venv=venv, tree=tree, jobs=1, recipe=None, search=os.environ.get("PATH", os.defpath)
    )


def config_settings(backend: str, files: Files, recipe: Recipe | None) -> dict[str, str | list[str]]:
    """The config settings that a back end needs to be told of the target (meson has no variable for it).

    A recipe's own arguments for meson's setup come after ours.
    """
    given = recipe.config_settings if recipe else {}
    if backend != "mesonpy":
        return dict(given)
    told = [f"--cross-file={files.meson}", *shlex.split(given.get("setup-args", ""))]
    # meson-python's own directory has another name each time, which some projects write down.
    return {"build-dir": ".mesonpy", **given, "setup-args": told}


def _determinism() -> dict[str, str]:
    return {"SOURCE_DATE_EPOCH": EPOCH, "PYTHONHASHSEED": "0", "LC_ALL": "C.UTF-8", "TZ": "UTC"}


def _compilers() -> dict[str, str]:
    return {
        "CC": "ot2-cc",
        "CXX": "ot2-c++",
        "AR": "ot2-ar",
        "RANLIB": "ot2-ranlib",
        "LDSHARED": "ot2-cc -shared",
        "LDCXXSHARED": "ot2-c++ -shared",
    }


def _of_recipe(recipe: Recipe) -> dict[str, str]:
    compiling, linking = " ".join(recipe.cflags), " ".join(recipe.ldflags)
    flags = {"CFLAGS": compiling, "CXXFLAGS": compiling, "LDFLAGS": linking}
    return {**{name: value for name, value in flags.items() if value}, **recipe.env}
