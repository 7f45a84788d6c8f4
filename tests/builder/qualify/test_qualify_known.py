"""Files of known failures, and what is asked of a wheel: read, without running anything."""

from __future__ import annotations

from pathlib import Path

import pytest
from wheel_factory import make_wheel

from builder.bundle import assemble
from builder.environment import Check, Environment
from builder.errors import ConfigFailure
from builder.profile import load as load_profile
from builder.qualify import Emulated
from builder.qualify.checklist import extension_modules
from builder.qualify.known import Known, beside, load, snippet
from builder.qualify.twin import environment_of, twin_of
from builder.recipe import load as load_recipe
from builder.store import Blob
from builder.wheel import WheelFile

OT2 = load_profile("ot2-py310")
EMULATED = Emulated(
    qemu=Path("/usr/bin/qemu"), cpu="cortex-a7", root=Path("/a root"), python=Path("/a root/usr/bin/python3.11"),
    version="3.11.2", glibc=(2, 36), origin="debian-12-armhf",
)  # fmt: skip


def test_entries_cover_checks_by_glob_and_profile(tmp_path: Path) -> None:
    file = tmp_path / "known-failures.yaml"
    file.write_text(
        "- {check: import demo.*, reason: needs libfoo}\n- check: pip check\n  reason: two\n  profile: ot2-py312\n"
    )
    first, second = load(file)
    assert (first.reason, first.origin, second.origin) == ("needs libfoo", f"{file}:1", f"{file}:2")
    assert first.covers("import demo._speed", ["ot2-py310"])
    assert not first.covers("import demo", ["ot2-py310"])
    assert second.covers("pip check", ["ot2-py312-cp311-twin", "ot2-py312"])
    assert not second.covers("pip check", ["ot2-py310", ""])
    assert beside([tmp_path, tmp_path / "absent", tmp_path]) == (first, second)


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ("- check: a\n- reason: b\n  check: ''\n", ["1: reason: must be there", "2: check: must be there"]),
        ("- {check: a, reason: b, why: c}\n", ["1: why: unknown key; known keys: check, reason, profile"]),
        ("- {check: a, reason: b, profile: 3}\n", ["1: profile: must be a profile's name"]),
        ("- just text\n", ["1: must be one of a list of entries"]),
    ],
)
def test_every_problem_is_told_with_its_line(tmp_path: Path, text: str, problems: list[str]) -> None:
    (tmp_path / "known.yaml").write_text(text)
    with pytest.raises(ConfigFailure) as caught:
        load(tmp_path / "known.yaml")
    told = caught.value.details
    assert len(told) == len(problems)
    assert all(problem in line for problem, line in zip(problems, told, strict=True)), told
    assert caught.value.what.endswith(" has 1 problem" if len(problems) == 1 else f" has {len(problems)} problems")


@pytest.mark.parametrize("text", ["check: a\nreason: b\n", "a: [", "text"])
def test_other_files_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "known.yaml").write_text(text)
    with pytest.raises(ConfigFailure, match=r"known\.yaml"):
        load(tmp_path / "known.yaml")


def test_a_snippet_covers_what_it_was_made_of_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "known.yaml").write_text(snippet([("reads [a]*", 'it said "no": 1'), ("pip check", "absent")], "p"))
    first, second = load(tmp_path / "known.yaml")
    assert first.covers("reads [a]*", ["p"])
    assert not first.covers("reads a and b", ["p"])
    assert (first.reason, second.reason) == ('it said "no": 1', "absent")
    assert second == Known(check="pip check", reason="absent", profile="p", origin=second.origin)


def test_what_is_known_to_fail_makes_no_other_wheel(tmp_path: Path) -> None:
    directory = tmp_path / "demo" / "default"
    directory.mkdir(parents=True)
    (directory / "build.py").write_text("from builder import package_build\npackage_build.build_package()\n")
    before = load_recipe(directory).digest
    (directory / "known-failures.yaml").write_text("- {check: a, reason: b}\n")
    assert load_recipe(directory).digest == before


def test_extension_modules_are_those_that_export_an_init_function(tmp_path: Path) -> None:
    module = b"\x7fELF...\0PyInit_%s\0"
    files = {
        "demo/__init__.py": b"",
        "demo/_speed.cpython-310-arm-linux-gnueabihf.so": module % b"_speed",
        "demo/deep/fast.abi3.so": module % b"fast",
        "demo/libplain.so": b"\x7fELF, no module",
        "demo.libs/libcurl-1a2b.so.4": b"\x7fELF PyInit_libcurl-1a2b",
        "demo/PyInit_text.so": b"PyInit_text",
        "demo-1.0.data/platlib/alone.so": module % b"alone",
    }
    wheel = make_wheel(tmp_path, "demo-1.0-cp310-cp310-linux_armv7l.whl", files)
    assert set(extension_modules(WheelFile.open(wheel))) == {"demo._speed", "demo.deep.fast", "alone"}


def test_a_twin_has_another_python_and_no_newer_glibc() -> None:
    twin = twin_of(OT2, EMULATED)
    assert (twin.name, twin.python, twin.markers["python_full_version"]) == ("ot2-py310-cp311-twin", "3.11", "3.11.2")
    assert (twin.glibc, twin.cpu, twin.glibcxx, twin.twin_of) == (OT2.glibc, OT2.cpu, OT2.glibcxx, "ot2-py310")
    assert twin.title == "cp311 twin of ot2-py310 on debian-12-armhf"
    assert twin_of(load_profile("ot2-py312"), EMULATED).glibc == (2, 36)


def test_a_bundle_file_says_what_its_twin_is_made_of(tmp_path: Path) -> None:
    check = Check(kind="run", name="says", timeout=5, argv=("demo", "-v"), expect="1")
    own = make_wheel(tmp_path, "own-2.0-py3-none-any.whl")
    row = {"version": "1.0", "filename": "demo-1.0-py3-none-any.whl", "sha256": "0" * 64, "size": 1, "unpacked": 1}
    rows = [
        {**row, "name": "demo", "files": 1, "how": "built", "requested": True},
        {**row, "name": "own", "filename": own.name, "sha256": "1" * 64, "files": 1, "how": "local", "requested": True},
    ]
    blobs = [Blob(filename=own.name, sha256="1" * 64, size=1, path=own)]
    wanted = Environment(name="lab", requirements=("demo",), deep=(check,), variables={"A": "b"})
    bundle = assemble(wanted, OT2, rows, blobs, quick=(check,), as_of="2025-04-20", lock="0" * 64)
    made = environment_of(bundle)
    assert made == Environment(
        name="lab-twin", requirements=("demo==1.0",), local=(own,), as_of="2025-04-20", quick=(check,), deep=(check,),
        live=(), variables={"A": "b"},
    )  # fmt: skip


def test_the_launcher_is_a_script_that_keeps_its_own_name() -> None:
    assert EMULATED.launcher.splitlines() == [
        "#!/bin/sh",
        "ulimit -c 0",
        "exec /usr/bin/qemu -cpu cortex-a7 -0 \"$0\" -L '/a root' '/a root/usr/bin/python3.11' \"$@\"",
    ]
