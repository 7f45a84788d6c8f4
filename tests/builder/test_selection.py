"""Which packages and wheels of a lock a profile gets, and in which order."""

from __future__ import annotations

import pytest
from engine_factory import OT2

from builder.errors import BuildFailure
from builder.lock import Locked, LockedFile
from builder.profile import load
from builder.selection import candidates, chain, choose


def file(name: str, url: str = "https://files.invalid/") -> LockedFile:
    return LockedFile(filename=name, url=url + name, sha256=name.encode().hex().ljust(64, "0")[:64])


def test_wheels_are_tried_in_the_order_of_the_profiles_tags() -> None:
    names = [
        "x-1-py3-none-any.whl",
        "x-1-cp310-cp310-manylinux_2_31_armv7l.whl",
        "x-1-cp310-cp310-manylinux2014_armv7l.manylinux_2_17_armv7l.whl",
        "x-1-cp39-abi3-manylinux_2_17_armv7l.whl",
        "x-1-cp310-cp310-linux_armv7l.whl",
        "x-1-cp310-cp310-manylinux_2_28_armv7l.whl",
        "x-1-cp310-cp310-manylinux_2_17_x86_64.whl",
        "x-1-cp311-cp311-manylinux_2_17_armv7l.whl",
        "x-1-cp310-cp310-musllinux_1_2_armv7l.whl",
        "not a wheel.whl",
    ]
    found = candidates(map(file, names), OT2)
    assert [(one.filename, one.fit) for one in found] == [
        (names[2], "fits"),
        (names[4], "fits"),
        (names[3], "fits"),
        (names[0], "fits"),
        (names[5], "too-new"),
        (names[1], "too-new"),
    ]


def test_a_higher_build_number_comes_first() -> None:
    names = ["x-1-py3-none-any.whl", "x-1-10-py3-none-any.whl", "x-1-9-py3-none-any.whl"]
    assert [one.filename for one in candidates(map(file, names), OT2)] == [names[1], names[2], names[0]]


def test_markers_are_those_of_the_profile_and_not_of_the_host() -> None:
    packages = [
        Locked(name="a", version="1", marker="platform_machine == 'armv7l'", parents=("",)),
        Locked(name="b", version="1", marker="sys_platform == 'win32'", parents=("",)),
        Locked(name="c", version="1", marker="python_full_version < '3.11'", parents=("a",)),
    ]
    assert [one.name for one in choose(packages, OT2)] == ["a", "c"]
    assert [one.name for one in choose(packages, load("ot2-py312"))] == ["a"]


def test_two_versions_for_one_profile_are_refused() -> None:
    with pytest.raises(BuildFailure, match="two versions"):
        choose([Locked(name="a", version="1"), Locked(name="a", version="2")], OT2)


def test_a_package_that_refuses_the_python_there() -> None:
    with pytest.raises(BuildFailure, match=r"needs Python >=3\.11"):
        choose([Locked(name="a", version="1", requires_python=">=3.11")], OT2)


def test_a_wanted_package_knows_who_wants_it_and_whether_it_is_native() -> None:
    packages = [
        Locked(name="top", version="1", wheels=(file("top-1-py3-none-any.whl"),), parents=("",)),
        Locked(name="low", version="1", wheels=(file("low-1-cp310-cp310-win32.whl"),), parents=("mid",)),
        Locked(name="mid", version="1", parents=("top",), sdist=file("mid-1.tar.gz")),
    ]
    low, mid, top = choose(packages, OT2)
    assert (low.chain, low.native, low.requested, low.candidates) == (("top", "mid", "low"), True, False, ())
    assert (mid.chain, mid.native) == (("top", "mid"), False)
    assert mid.sdist == file("mid-1.tar.gz")
    assert (top.chain, top.requested) == (("top",), True)


def test_local_files_and_wheels_of_a_directory_come_before_the_index() -> None:
    public, directory = file("x-1-cp310-cp310-linux_armv7l.whl"), file("x-1-py3-none-any.whl", "file:///wheels/")
    (found,) = choose([Locked(name="x", version="1", wheels=(public, directory))], OT2)
    assert [one.origin for one in found.candidates] == ["index", "public"]
    (found,) = choose([Locked(name="x", version="1", wheels=(public,))], OT2, local=[public.sha256])
    assert (found.candidates[0].origin, found.local) == ("local", True)


def test_a_chain_ends_even_where_packages_want_each_other() -> None:
    assert chain("a", {"a": ("b",), "b": ("a",)}) == ("a",)
    assert chain("a", {"a": ("b", "c"), "b": ("a",), "c": ("",)}) == ("c", "a")
