"""Wheels really built with zig for other machines, from small projects and from one sdist of the index."""

from __future__ import annotations

import shutil
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
from tiny_project import AS_OF, CPLUSPLUS, PYPROJECT, C, make_sdist, request_for, tiny

from builder import uv as uvs
from builder.audit import audit
from builder.build import BuildOptions, BuildRequest, Source
from builder.build.product import LostNative, WrongWheel
from builder.build.traces import LeakedPaths
from builder.errors import BuildFailure, HashFailure, ToolFailure
from builder.fetch import Fetcher
from builder.files import sha256_file
from builder.places import cache_root, shipped
from builder.profile import load
from builder.recipe import Recipe, find
from builder.wheel import WheelFile

pytestmark = [pytest.mark.network, pytest.mark.slow]
NEEDED = """\
from setuptools import Extension, setup
setup(name="tiny", version="1.0", ext_modules=[Extension("fast", ["fast.c"])])
"""


@pytest.mark.parametrize("profile", ["ot2-py310", "debian-12-armhf", "ot2-py312"])
def test_a_c_extension_for_each_profile(build, tmp_path: Path, profile: str) -> None:
    built = build(request_for(tiny(tmp_path), profile))
    abi = load(profile).abi
    assert built.path.name == f"tiny-1.0-{abi}-{abi}-manylinux_2_17_armv7l.whl"
    found = audit(built.path, load(profile))
    assert found.ok
    assert [binary.file for binary in found.binaries] == [f"tiny/fast.cpython-{abi[2:]}-arm-linux-gnueabihf.so"]
    assert built.provenance["toolchain"]["cpu"] == "cortex_a7"
    assert built.provenance["source"]["sha256"] == sha256_file(tmp_path / "tiny-1.0.tar.gz")


def test_cplusplus_brings_its_own_runtime(build, tmp_path: Path) -> None:
    built = build(request_for(tiny(tmp_path, CPLUSPLUS, "fast.cpp")))
    found = audit(built.path, load("ot2-py310"))
    assert found.ok
    assert "libstdc++.so.6" not in found.binaries[0].needed


def test_the_same_sources_give_the_same_bytes(build, tmp_path: Path) -> None:
    first = sha256_file(build(request_for(tiny(tmp_path))).path)
    shutil.rmtree(tmp_path / "wheels")
    assert sha256_file(build(request_for(tiny(tmp_path))).path) == first


def test_pure_python_needs_no_compiler_made_ready(build, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("OT2DEPLOY_CACHE", str(tmp_path / "cache"))
    setup = "from setuptools import setup\nsetup(name='tiny', version='1.0', packages=['tiny'])\n"
    source = make_sdist(tmp_path, {"pyproject.toml": PYPROJECT, "setup.py": setup, "tiny/__init__.py": ""})
    assert build(request_for(source)).path.name == "tiny-1.0-py3-none-any.whl"
    assert not (tmp_path / "cache" / "zig").exists()


def test_a_revision_is_the_build_tag(build, tmp_path: Path) -> None:
    recipe = Recipe(name="tiny", version="1.0", directory=tmp_path, digest="0", revision=3, cflags=("-Os",))
    built = build(request_for(tiny(tmp_path), recipe=recipe))
    assert WheelFile.open(built.path).build == "3"
    assert built.provenance["flags"] == {"CFLAGS": "-Os", "CXXFLAGS": "-Os"}


def test_a_build_that_turned_pure_is_a_failure_with_the_compilers_words(build, tmp_path: Path) -> None:
    with pytest.raises(LostNative, match="silently turned pure") as raised:
        build(request_for(tiny(tmp_path, C + "#error this does not compile\n")))
    assert any("this does not compile" in line for line in raised.value.details)


def test_the_recipes_globs_must_match(build, tmp_path: Path) -> None:
    recipe = Recipe(name="tiny", version="1.0", directory=tmp_path, digest="0", native=("tiny/other*.so",))
    with pytest.raises(LostNative, match=r"lacks tiny/other\*\.so"):
        build(request_for(tiny(tmp_path), recipe=recipe))


def test_a_wheel_of_another_version_is_refused(build, tmp_path: Path) -> None:
    source = tiny(tmp_path)
    with pytest.raises(WrongWheel, match=r"made tiny 1\.0"):
        build(BuildRequest(name="tiny", version="2.0", source=source, profile=load("ot2-py310"), as_of=AS_OF))


def test_changed_sources_are_not_unpacked(build, tmp_path: Path) -> None:
    source = tiny(tmp_path)
    source.path.write_bytes(source.path.read_bytes() + b"x")
    with pytest.raises(HashFailure):
        build(request_for(source))


def test_a_back_end_that_fails_shows_its_log_and_leaves_nothing(build, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("OT2DEPLOY_CACHE", str(tmp_path / "cache"))  # in the shared one other tests build meanwhile
    source = make_sdist(tmp_path, {"setup.py": "raise SystemExit('no such thing')\n"})
    with pytest.raises(ToolFailure) as raised:
        build(request_for(source))
    assert raised.value.subject == "tiny 1.0"
    assert (
        raised.value.what
        == "its build back end (setuptools.build_meta) failed in get_requires_for_build_wheel: status 1"
    )
    assert any("no such thing" in line for line in raised.value.details)
    assert raised.value.next.startswith("Log: ")
    assert not list((cache_root() / "work").glob("build-*"))


def test_a_failed_compilation_is_told_by_the_compilers_first_error(build, tmp_path: Path) -> None:
    files = {"pyproject.toml": PYPROJECT, "setup.py": NEEDED, "fast.c": C + "#error this does not compile\nplate x;\n"}
    with pytest.raises(ToolFailure) as raised:
        build(request_for(make_sdist(tmp_path, files)))
    start, _, said = raised.value.what.partition(": ")
    assert start == "its build back end (setuptools.build_meta) failed in build_wheel"
    assert said.endswith("error: this does not compile")


def test_a_build_that_hangs_is_killed(build, tmp_path: Path) -> None:
    source = make_sdist(tmp_path, {"setup.py": "import time\ntime.sleep(600)\n"})
    with pytest.raises(
        BuildFailure, match=r"back end \(setuptools\.build_meta\), in get_requires_\w+, did not end within 5 s"
    ):
        build(request_for(source), BuildOptions(timeout=5))


def test_setup_py_commands_of_a_recipe(build, tmp_path: Path) -> None:
    recipe = Recipe(
        name="tiny", version="1.0", directory=tmp_path, digest="0", setup_py_commands=("build_ext", "bdist_wheel")
    )
    assert build(request_for(tiny(tmp_path), recipe=recipe)).path.name.endswith("armv7l.whl")


def from_the_index(directory: Path, name: str, version: str) -> BuildRequest:
    """A request to build a project of the index for an OT-2, without a recipe."""
    question = uvs.Question(requirements=[f"{name}=={version}"], constraints=(), python="3.10", as_of=AS_OF)
    uvs.find().compile_lock(question, directory / "pylock.toml")
    sdist = tomllib.loads((directory / "pylock.toml").read_text())["packages"][0]["sdist"]
    path, sha256 = directory / f"{name}-{version}.tar.gz", sdist["hashes"]["sha256"]
    Fetcher().download(sdist["url"], path, sha256=sha256)
    source = Source(path=path, sha256=sha256, url=sdist["url"])
    profile = load("ot2-py310")
    return BuildRequest(name=name, version=version, source=source, profile=profile, as_of=AS_OF, expects_native=True)


def test_markupsafe_from_the_index(build, tmp_path: Path) -> None:
    recipe = find("markupsafe", "3.0.2", [shipped("package")])
    built = build(replace(from_the_index(tmp_path, "markupsafe", "3.0.2"), recipe=recipe))
    assert built.path.name == "markupsafe-3.0.2-cp310-cp310-manylinux_2_17_armv7l.whl"
    assert built.provenance["recipe"]["name"] == "markupsafe/default"


def test_markupsafe_does_not_turn_pure_unseen(build, tmp_path: Path) -> None:
    recipe = Recipe(name="markupsafe", version="3.0.2", directory=tmp_path, digest="0", cflags=("-include", "absent.h"))
    with pytest.raises(LostNative, match="its build silently turned pure") as raised:
        build(replace(from_the_index(tmp_path, "markupsafe", "3.0.2"), recipe=recipe))
    assert any("absent.h" in line for line in raised.value.details)


def test_pyyaml_does_not_lose_its_c_loader_unseen(build, tmp_path: Path) -> None:
    """Without libyaml, which its recipe brings, it ends well with a wheel that has a platform tag and no .so."""
    with pytest.raises(LostNative, match=r"no \.so inside") as raised:
        build(from_the_index(tmp_path, "pyyaml", "6.0.2"))
    assert any("yaml.h" in line for line in raised.value.details)


PATHS = """\
#include <Python.h>
static const char *where = WHERE;
static struct PyModuleDef module = { PyModuleDef_HEAD_INIT, "fast", NULL, -1, NULL };
PyMODINIT_FUNC PyInit_fast(void) { module.m_doc = where; return PyModule_Create(&module); }
"""
TELLS = """\
import os
from setuptools import Extension, setup
where = [("WHERE", '"%s"' % os.getcwd())]
setup(name="tiny", version="1.0", packages=["tiny"], ext_modules=[Extension("tiny.fast", ["f.c"], define_macros=where)])
"""


@pytest.mark.parametrize("allowed", [(), ("tiny/fast.*",)])
def test_machine_code_that_names_its_builds_directory_is_refused(
    build, tmp_path: Path, allowed: tuple[str, ...]
) -> None:
    files = {"pyproject.toml": PYPROJECT, "setup.py": TELLS, "tiny/__init__.py": "", "f.c": PATHS}
    recipe = Recipe(name="tiny", version="1.0", directory=tmp_path, digest="0", build_paths=allowed, reason="a test")
    request = request_for(make_sdist(tmp_path, files), recipe=recipe)
    if allowed:
        assert build(request).path.exists()
        return
    with pytest.raises(LeakedPaths) as raised:
        build(request)
    assert raised.value.details == ("tiny/fast.cpython-310-arm-linux-gnueabihf.so",)
    assert not list((tmp_path / "wheels").glob("*"))
