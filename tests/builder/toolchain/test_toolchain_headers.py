"""Target headers and sysconfig data: what is changed, and that nothing of the host stays."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from builder.errors import BuildFailure
from builder.profile import load
from builder.toolchain import apt
from builder.toolchain.headers import override_pyconfig, prepare_headers, target_variables
from builder.toolchain.interpreter import Interpreter, find_interpreter

HOST = """\
#define SIZEOF_LONG 8
#define SIZEOF_LONG_LONG 8
#define SIZEOF_LONG_DOUBLE 16
#define SIZEOF_VOID_P 8
#define ALIGNOF_LONG 8
#define HAVE_GCC_ASM_FOR_X64 1
#define HAVE_GCC_UINT128_T 1
#define Py_ENABLE_SHARED 1
#define HAVE_POLL 1
"""


def test_headers_of_another_system_are_not_taken(tmp_path: Path) -> None:
    mac = Interpreter(
        path=tmp_path, prefix=tmp_path, minor="3.10", version="3.10.8", system="darwin", headers=tmp_path,
        multiarch="", variables={},
    )  # fmt: skip
    with pytest.raises(BuildFailure, match="headers of a Linux CPython") as raised:
        prepare_headers(load("ot2-py310"), mac)
    assert "--toolchain container" in raised.value.next


def test_pyconfig_gets_the_sizes_of_32_bit_arm() -> None:
    assert override_pyconfig(HOST, "armv7l").splitlines() == [
        "#define SIZEOF_LONG 4",
        "#define SIZEOF_LONG_LONG 8",
        "#define SIZEOF_LONG_DOUBLE 8",
        "#define SIZEOF_VOID_P 4",
        "#define ALIGNOF_LONG 4",
        "/* #undef HAVE_GCC_ASM_FOR_X64 */",
        "/* #undef HAVE_GCC_UINT128_T */",
        "/* #undef Py_ENABLE_SHARED */",
        "#define HAVE_POLL 1",
    ]


def test_pyconfig_of_the_same_architecture_keeps_its_sizes() -> None:
    assert override_pyconfig(HOST, "x86_64").count("/* #undef") == 1


def test_sysconfig_names_the_target_and_no_path_of_the_host(tmp_path) -> None:
    host = {"LDFLAGS": "-L/host/lib", "CC": "gcc", "SIZEOF_LONG": 8, "LIBDIR": "/host/lib", "prefix": "/usr"}
    include = tmp_path / "include" / "python3.10"
    variables = target_variables(host, load("ot2-py310"), include)
    assert variables["EXT_SUFFIX"] == ".cpython-310-arm-linux-gnueabihf.so"
    assert variables["SIZEOF_LONG"] == 4
    assert variables["CC"] == "ot2-cc"
    assert variables["INCLUDEPY"] == str(include)
    assert not [name for name, value in variables.items() if "/host" in str(value)]


@pytest.fixture
def minor() -> str:
    return "%d.%d" % sys.version_info[:2]


def test_an_interpreter_sees_itself_as_the_target(minor: str) -> None:
    profile = load("debian-12-armhf")
    if minor != profile.python or find_interpreter(minor).headers is None:
        pytest.skip(f"needs headers of CPython {profile.python}")
    from builder.toolchain.headers import _from_host  # the distribution's own are a network test

    headers = _from_host(profile, find_interpreter(minor, headers=True))
    env = {
        "PYTHONPATH": str(headers.site),
        "_PYTHON_SYSCONFIGDATA_NAME": headers.module,
        "_PYTHON_HOST_PLATFORM": "linux-armv7l",
        "OT2_CROSS_MACHINE": "armv7l",
        "OT2_CROSS_GLIBC": "2.36",
        "OT2_CROSS_INCLUDE": str(headers.include),
    }
    code = (
        "import os, platform, sysconfig as s;"
        "print(s.get_platform(), s.get_config_var('EXT_SUFFIX'), s.get_path('include'), s.get_paths()['platinclude'],"
        "os.uname().machine, platform.machine(), platform.architecture()[0], platform.libc_ver()[1])"
    )
    said = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True).stdout
    include = str(headers.include)
    assert said.split() == [
        "linux-armv7l", ".cpython-311-arm-linux-gnueabihf.so", include, include, "armv7l", "armv7l", "32bit", "2.36",
    ]  # fmt: skip


@pytest.mark.network
@pytest.mark.skipif(not apt.available(), reason="no apt-get and dpkg-deb")
def test_debians_own_headers_are_the_targets(shared_cache) -> None:
    headers = prepare_headers(load("debian-12-armhf"))
    if headers.origin["kind"] != "debian":
        pytest.skip("this host's apt sources are not Debian 12's")
    assert "#define SIZEOF_LONG 4" in (headers.include / "pyconfig.h").read_text()
    assert all(name.endswith("_armhf.deb") for name in headers.origin["files"])


def test_a_missing_interpreter_says_what_to_install() -> None:
    from builder.errors import BuildFailure

    with pytest.raises(BuildFailure) as raised:
        find_interpreter("3.99")
    assert "uv python install 3.99" in raised.value.next


def test_a_host_without_apt_says_which_package_it_lacks(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(apt.NoApt, match="libffi-dev for armv7l"):
        apt.unpack(["libffi-dev"], "armv7l", tmp_path / "out")


def test_offline_does_not_ask_apt(tmp_path) -> None:
    from builder.errors import OfflineFailure

    if not apt.available():
        pytest.skip("no apt-get and dpkg-deb")
    with pytest.raises(OfflineFailure, match="libffi-dev"):
        apt.unpack(["libffi-dev"], "armv7l", tmp_path / "out", offline=True)
