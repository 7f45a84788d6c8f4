"""A target's Python headers and sysconfig data: its distribution's, or a host CPython's with the ABI's differences."""

from __future__ import annotations

import ast
import json
import pprint
import re
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builder.errors import BuildFailure
from builder.files import digest_of, locked, write_json
from builder.places import cache_root
from builder.profile import Profile
from builder.toolchain import apt
from builder.toolchain.interpreter import Interpreter, find_interpreter

DATA = Path(__file__).parent / "data"
FORMAT = 2  # raise it when what stands in the directory changes
# Back ends are told where the headers are: in a container that is not the place where they were made.
SYSCONFIGDATA = """\
import os

build_time_vars = {variables}
include = os.environ.get("OT2_CROSS_INCLUDE", {include!r})
build_time_vars.update(INCLUDEPY=include, CONFINCLUDEPY=include)
build_time_vars.update(INCLUDEDIR=os.path.dirname(include), CONFINCLUDEDIR=os.path.dirname(include))
"""
# Pythons that Debian 12 has for a machine, by their headers in its own packages.
DEBIAN = {("3.11", "armv7l"): ("libpython3.11-dev", "libpython3.11-minimal")}

# Where an ABI differs from other Linux ABIs in pyconfig.h. The 32-bit list was checked against Debian's armhf file for
# 3.11: nothing else in it changes a type's size or alignment.
_WORD = ("LONG", "SIZE_T", "VOID_P", "UINTPTR_T", "TIME_T", "PTHREAD_T")
_NOT_X86 = ("HAVE_GCC_ASM_FOR_X64", "HAVE_GCC_ASM_FOR_X87")
DEFINED: dict[str, dict[str, int]] = {
    "armv7l": {
        **{f"SIZEOF_{name}": 4 for name in _WORD},
        "SIZEOF_LONG_DOUBLE": 8,
        "ALIGNOF_LONG": 4,
        "ALIGNOF_SIZE_T": 4,
        "ALIGNOF_MAX_ALIGN_T": 8,
    },
    "aarch64": {},
    "x86_64": {},
}
UNDEFINED: dict[str, tuple[str, ...]] = {
    "armv7l": (*_NOT_X86, "HAVE_GCC_UINT128_T", "Py_ENABLE_SHARED"),
    "aarch64": (*_NOT_X86, "Py_ENABLE_SHARED"),
    "x86_64": ("Py_ENABLE_SHARED",),
}


@dataclass(frozen=True, kw_only=True)
class Headers:
    """A target's `include` (holding Python.h), `site` (for PYTHONPATH), its sysconfig module and where it came from."""

    include: Path
    site: Path
    module: str
    origin: Mapping[str, Any]


def prepare_headers(profile: Profile, host: Interpreter | None = None, *, offline: bool = False) -> Headers:
    """The headers for a profile, from the cache or made: its distribution's own packages, else those of the CPython
    that its back ends run in (`host`, without it this host's).

    Raises BuildFailure with the one thing to install.
    """
    packages = DEBIAN.get((profile.python, profile.machine))
    if packages:
        try:
            return _from_debian(profile, packages, offline)
        except apt.NoApt:  # another distribution: a host CPython does as well
            pass
    if host is None or host.headers is None:
        host = find_interpreter(profile.python, headers=True)
    if host.system != "linux":  # its pyconfig.h is of another system altogether
        raise BuildFailure(
            f"{profile.name} cannot be built for here: the headers of a Linux CPython are needed",
            next="Use --toolchain container, build on a Linux host, or name an index that has the wheel.",
        )
    return _from_host(profile, host)


def override_pyconfig(text: str, machine: str) -> str:
    """A pyconfig.h with what an ABI has otherwise. Defines that are not there stay away."""
    for name, value in DEFINED[machine].items():
        text = re.sub(rf"^#define {name}\b.*$", f"#define {name} {value}", text, flags=re.M)
    for name in UNDEFINED[machine]:
        text = re.sub(rf"^#define {name}\b.*$", f"/* #undef {name} */", text, flags=re.M)
    return text


def target_variables(variables: Mapping[str, Any], profile: Profile, include: Path) -> dict[str, Any]:
    """A sysconfig's variables as the target's: its tags and sizes, our compiler, no path of the host."""
    tag, flags = f"cpython-{profile.abi[2:]}-{profile.triple}", "-Wsign-compare -DNDEBUG -fwrapv -O3 -Wall"
    sizes = {name: value for name, value in DEFINED[profile.machine].items() if name in variables}
    absent = {name: 0 for name in UNDEFINED[profile.machine] if name in variables}
    library = str(include.parent.parent / "lib")
    ours: dict[str, Any] = {
        "MULTIARCH": profile.triple,
        "HOST_GNU_TYPE": profile.triple.replace("-", "-unknown-", 1),
        "MACHDEP": "linux",
        "SOABI": tag,
        "EXT_SUFFIX": f".{tag}.so",
        "SHLIB_SUFFIX": ".so",
        "Py_ENABLE_SHARED": 0,  # else distutils adds -L of the host's library
        "CC": "ot2-cc",
        "CXX": "ot2-c++",
        "LDSHARED": "ot2-cc -shared",
        "BLDSHARED": "ot2-cc -shared",
        "LDCXXSHARED": "ot2-c++ -shared",
        "AR": "ot2-ar",
        "ARFLAGS": "rcsD",
        "RANLIB": "ot2-ranlib",
        "CCSHARED": "-fPIC",
    }
    ours |= dict.fromkeys(("INCLUDEPY", "CONFINCLUDEPY"), str(include))
    ours |= dict.fromkeys(("INCLUDEDIR", "CONFINCLUDEDIR"), str(include.parent))
    ours |= dict.fromkeys(("LIBDIR", "LIBPL", "LIBDEST"), library)
    ours |= dict.fromkeys(("CFLAGS", "PY_CFLAGS", "PY_CORE_CFLAGS", "OPT"), flags)
    empty = "CPPFLAGS LDFLAGS PY_LDFLAGS LIBS SYSLIBS BASECFLAGS CONFIGURE_CFLAGS CONFIGURE_CPPFLAGS CONFIGURE_LDFLAGS"
    empty += " PY_CPPFLAGS PY_CORE_LDFLAGS MULTIARCH_CPPFLAGS CONFIG_ARGS"
    return {**variables, **sizes, **absent, **ours, **dict.fromkeys(empty.split(), "")}


def module_name(profile: Profile) -> str:
    """The sysconfig data module's name, for _PYTHON_SYSCONFIGDATA_NAME."""
    return f"_sysconfigdata_ot2_{profile.triple.replace('-', '_')}"


def _from_host(profile: Profile, host: Interpreter) -> Headers:
    if host.headers is None:
        raise BuildFailure(f"{host.path} has no headers")
    source = host.headers
    pyconfig = (source / "pyconfig.h").read_text()
    multiarch = source.parent / host.multiarch / source.name / "pyconfig.h"
    if host.multiarch and multiarch.exists():  # Debian's pyconfig.h only chooses between architectures
        pyconfig = multiarch.read_text()
    origin = {"kind": "host", "python": host.version, "pyconfig": digest_of(pyconfig)[:12]}
    return _make(profile, source, override_pyconfig(pyconfig, profile.machine), host.variables, origin)


def _from_debian(profile: Profile, packages: tuple[str, ...], offline: bool) -> Headers:
    origin = {"kind": "debian", "packages": list(packages)}
    found = _cached(profile, origin)
    if found:
        return found
    with tempfile.TemporaryDirectory(prefix="ot2-headers-") as name:
        tree = Path(name)
        fetched = apt.unpack(packages, profile.machine, tree, offline=offline)
        include = tree / "usr/include" / f"python{profile.python}"
        pyconfig = (tree / "usr/include" / profile.triple / include.name / "pyconfig.h").read_text()
        data = tree / "usr/lib" / include.name / f"_sysconfigdata__{profile.triple}.py"
        variables = ast.literal_eval(data.read_text().partition("build_time_vars = ")[2])
        detail = {"files": {package.filename: package.sha256 for package in fetched}}
        return _make(profile, include, pyconfig, variables, origin, detail)


def _directory(profile: Profile, origin: Mapping[str, Any]) -> Path:
    key = digest_of([FORMAT, profile.key, origin, (DATA / "sitecustomize.py").read_text()])[:12]
    return cache_root() / "toolchain" / f"headers-{profile.abi}-{profile.machine}-{key}"


def _cached(profile: Profile, origin: Mapping[str, Any]) -> Headers | None:
    directory = _directory(profile, origin)
    return _read(directory, profile) if (directory / "origin.json").exists() else None


def _read(directory: Path, profile: Profile) -> Headers:
    return Headers(
        include=directory / "include" / f"python{profile.python}",
        site=directory / "site",
        module=module_name(profile),
        origin=json.loads((directory / "origin.json").read_text()),
    )


def _make(
    profile: Profile,
    source: Path,
    pyconfig: str,
    variables: Mapping[str, Any],
    origin: Mapping[str, Any],
    detail: Mapping[str, Any] | None = None,
) -> Headers:
    """Makes the directory in one rename, unless it is there."""
    directory = _directory(profile, origin)
    with locked(directory.with_suffix(".lock")):
        found = _cached(profile, origin)
        if found:
            return found
        shutil.rmtree(directory, ignore_errors=True)
        with tempfile.TemporaryDirectory(dir=directory.parent, prefix=".headers-") as name:
            fresh, final = Path(name) / "new", directory / "include" / f"python{profile.python}"
            include = fresh / "include" / f"python{profile.python}"
            shutil.copytree(source, include)
            (include / "pyconfig.h").write_text(pyconfig)
            (fresh / "site").mkdir()
            shutil.copy(DATA / "sitecustomize.py", fresh / "site")
            text = pprint.pformat(target_variables(variables, profile, final))
            module = SYSCONFIGDATA.format(variables=text, include=str(final))
            (fresh / "site" / f"{module_name(profile)}.py").write_text(module)
            write_json(fresh / "origin.json", {**origin, **(detail or {})})
            fresh.rename(directory)
    return _read(directory, profile)
