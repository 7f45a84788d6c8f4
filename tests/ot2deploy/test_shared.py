"""`push --shared`: what protocols import, beside what the robot has of its own; one set, and all of it undone."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

PYTHON = f"python{sys.version_info[0]}.{sys.version_info[1]}"


class Bench:
    """Robots whose protocols import what is shared."""

    def __init__(self, workplace: Any, robot: str = "r1") -> None:
        self.workplace, self.robot = workplace, robot
        self.root: Path = workplace.lab.root(robot)
        self.system = self.root / "usr/lib" / PYTHON / "site-packages"
        self.user = self.root / "var/user-packages/usr/lib" / PYTHON / "site-packages"

    def wheel(self, name: str, version: str = "1.0", *needs: str, **more: Any) -> Path:
        """A wheel with one module, whose VALUE is its version, and with requirements."""
        lines = "".join(f"Requires-Dist: {need}\n" for need in needs)
        made: Path = self.workplace.wheel(name, version, f"VALUE = {version!r}\n", metadata=lines, **more)
        return made

    def put(self, where: Path, name: str, version: str, text: str = "") -> None:
        """A package of the system, or installed by hand."""
        info = where / f"{name}-{version}.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        (info / "RECORD").write_text(f"{name}.py,,\n")
        (where / f"{name}.py").write_text(text)

    def push(self, *words: str | Path, status: int = 0) -> Any:
        """`push --shared` to the lab."""
        return self.workplace.push(*words, "--shared", status=status)

    def imports(self, code: str) -> str:
        """What a protocol prints: run by the robot's own interpreter."""
        argv = [self.root / "usr/bin/python3", "-c", code]
        return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=True).stdout.strip()

    def files(self, below: str) -> dict[str, Any]:
        """Names and contents of the files and links below a directory of the robot."""
        return {
            str(path.relative_to(self.root)): path.readlink() if path.is_symlink() else path.read_bytes()
            for path in sorted((self.root / below).rglob("*"))
            if path.is_symlink() or path.is_file()
        } | {str(path.relative_to(self.root)): None for path in (self.root / below).rglob("*") if path.is_dir()}


@pytest.fixture
def bench(workplace: Any) -> Bench:
    return Bench(workplace)


def test_protocols_import_it_and_the_system_stays_as_it_was(bench: Bench) -> None:
    before = bench.files("usr")
    row = bench.push(bench.wheel("plates"))
    assert (row["outcome"], row["plan"]["environment"]) == ("pushed", "shared")
    assert bench.imports("import plates; print(plates.VALUE, plates.__file__)") == f"1.0 {bench.user}/plates.py"
    assert bench.files("usr") == before
    assert bench.push(bench.wheel("plates"))["outcome"] == "no change"
    places = bench.workplace.run("robot", "packages", "r1", "--name", "plates")["packages"]
    assert [(one["layer"], one["environment"], one["used_by"]) for one in places] == [
        ("environment", "shared", ["protocols", "shared"])
    ]


def test_two_pushes_make_one_set_and_one_is_taken_out_again(bench: Bench) -> None:
    bench.push(bench.wheel("plates"))
    bench.push(bench.wheel("racks", "1.0", "plates"))
    assert bench.imports("import plates, racks; print(plates.VALUE, racks.VALUE)") == "1.0 1.0"
    bench.push(bench.wheel("plates", "2.0"))
    assert bench.imports("import plates, racks; print(plates.VALUE, racks.VALUE)") == "2.0 1.0"
    assert bench.push()["outcome"] == "no change"
    bench.push("--without", "racks")
    assert bench.imports("import plates; print(plates.VALUE)") == "2.0"
    assert sorted(path.name for path in bench.user.iterdir() if path.name != "__pycache__") == [
        "plates-2.0.dist-info", "plates.py"
    ]  # fmt: skip
    again = bench.push("--without", "racks")
    assert again["outcome"] == "no change"
    assert "racks was not asked for there" in again["plan"]["reasons"]
    last = bench.push("--without", "plates", status=1)
    assert last["error"]["what"] == "nothing would be left of what is shared with its protocols"


def test_what_another_computer_shared_is_kept_from_the_robot_itself(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = tmp_path / "helpers.py"
    module.write_text("ANSWER = 42\n")
    bench.push(module)
    monkeypatch.setenv("OT2DEPLOY_CACHE", str(tmp_path / "another"))
    bench.push(bench.wheel("plates"))
    assert bench.imports("import helpers, plates; print(helpers.ANSWER, plates.VALUE)") == "42 1.0"
    for wheel in (bench.root / "var/ot2deploy/wheels").glob("*/helpers-*.whl"):
        wheel.write_bytes(b"damaged")
    monkeypatch.setenv("OT2DEPLOY_CACHE", str(tmp_path / "a third"))
    refused = bench.push(bench.wheel("racks"), status=1)["error"]
    assert refused["what"] == "helpers, which is shared there, is neither on this computer nor whole on the robot"
    module.write_text("ANSWER = 43\n")
    bench.push(module)
    assert bench.imports("import helpers; print(helpers.ANSWER)") == "43"


def test_the_robots_own_packages_are_leaned_on_and_never_shadowed(bench: Bench) -> None:
    bench.put(bench.system, "numpy", "1.21.6")
    row = bench.push(bench.wheel("plates", "1.0", "numpy>=1.20"))
    assert row["sent"] == 1
    assert bench.imports("import numpy; print(numpy.__file__)") == str(bench.system / "numpy.py")
    manifest = bench.workplace.lab.base() / "envs/shared/current/manifest.json"
    assert '"provided": {"numpy": "1.21.6"}' in manifest.read_text()


def test_every_conflict_of_versions_is_named_before_anything_is_sent(bench: Bench) -> None:
    bench.put(bench.system, "pandas", "1.3.5")
    bench.put(bench.system, "pydantic", "1.10.12")
    bench.put(bench.user, "tips", "0.9")
    before = bench.files("var")
    wheels = [bench.wheel("plates", "1.0", "pydantic>=2"), bench.wheel("racks", "1.0", "tips>=1", "plates")]
    bench.workplace.environment("lab", *wheels, more="  - pandas==2.0.3")
    error = bench.push("lab", status=1)["error"]
    assert error["code"] == "shared-conflict"
    assert error["details"] == [
        "pandas==2.0.3 was asked for; the robot's own pandas 1.3.5 wins",
        "plates needs pydantic>=2; the robot's own pydantic 1.10.12 wins",
        "racks needs tips>=1; tips 0.9 was installed by hand: pip uninstall tips",
    ]
    assert bench.files("var") == before


def test_modules_count_and_not_the_names_of_packages_alone(bench: Bench) -> None:
    (bench.system / "plates.py").write_text("")
    (bench.system / "lab" / "readers").mkdir(parents=True)
    (bench.system / "lab" / "arms").mkdir()
    files = {"lab/arms/__init__.py": b"", "statistics.py": b"", "sys.py": b"", "racks.pth": b"import racks\n"}
    error = bench.push(bench.wheel("plates", files=files), status=1)["error"]
    place = bench.system
    assert [line.replace(str(place), "SITE") for line in error["details"]][0::1] == [
        "plates 1.0 needs racks.pth, and .pth files are not read among user packages",
        "plates 1.0 brings the module lab.arms, which the robot's own software has in SITE",
        "plates 1.0 brings the module plates, which the robot's own software has in SITE",
        error["details"][3],
        "plates 1.0 brings the module sys, which is built into the robot's Python",
    ]
    assert error["details"][3].startswith("plates 1.0 brings the module statistics, which the robot's own software has")
    assert not (bench.root / "var/ot2deploy").exists()


def test_directories_that_share_their_name_are_imported_from_both(bench: Bench) -> None:
    (bench.system / "lab").mkdir()
    (bench.system / "lab" / "readers.py").write_text("VALUE = 'theirs'\n")
    bench.push(bench.wheel("plates", files={"lab/arms.py": b"VALUE = 'ours'\n"}))
    assert bench.imports("from lab import arms, readers; print(arms.VALUE, readers.VALUE)") == "ours theirs"


def test_what_somebody_installed_by_hand_is_not_replaced(bench: Bench) -> None:
    bench.put(bench.user, "plates", "1.0", "VALUE = 'by hand'\n")
    error = bench.push(bench.wheel("plates"), status=1)["error"]
    assert error["what"].startswith("cannot be shared: plates 1.0 was installed by hand: pip uninstall plates")
    (bench.user / "racks").mkdir()
    error = bench.push(bench.wheel("racks"), status=1)["error"]
    assert f"the module racks, which was installed by hand: {bench.user}/racks" in error["what"]
    assert bench.imports("import plates; print(plates.VALUE)") == "by hand"


def test_what_the_robot_has_need_not_be_pushed(bench: Bench) -> None:
    bench.put(bench.system, "plates", "1.0")
    error = bench.push(bench.wheel("plates"), status=1)["error"]
    assert error["what"] == "protocols have it already: plates 1.0"


def test_software_that_ignores_user_packages_is_refused(bench: Bench) -> None:
    (bench.system / "user-packages.pth").unlink()
    error = bench.push(bench.wheel("plates"), status=1)["error"]
    assert (error["code"], error["what"]) == (
        "robot-unsupported", "its software ignores user packages, so nothing can be shared with protocols"
    )  # fmt: skip


def test_it_is_rolled_back_removed_and_purged_like_any_other(bench: Bench) -> None:
    before = bench.files("var/user-packages")
    bench.push(bench.wheel("plates"))
    bench.push(bench.wheel("plates", "2.0"))
    bench.workplace.run("rollback", "shared")
    assert bench.imports("import plates; print(plates.VALUE)") == "1.0"
    bench.workplace.run("verify", "shared", "--deep")
    bench.workplace.run("remove", "shared")
    assert bench.files("var/user-packages") == before
    bench.push(bench.wheel("plates"))
    bench.workplace.run("robot", "purge", "r1", "--yes")
    assert bench.files("var/user-packages") == before


def test_a_release_that_protocols_cannot_import_is_taken_back(bench: Bench) -> None:
    bench.push(bench.wheel("plates"))
    text = b"import sys\nassert 'releases' in sys.prefix, 'only in its own environment'\n"
    row = bench.push(bench.wheel("plates", "2.0", files={"plates.py": text}), status=4)
    assert row["outcome"] == "rolled back"
    assert "only in its own environment" in row["error"]["what"]
    assert bench.imports("import plates; print(plates.VALUE)") == "1.0"


def test_links_that_went_are_made_again_by_the_same_push(bench: Bench) -> None:
    bench.push(bench.wheel("plates"))
    (bench.user / "plates.py").unlink()
    row = bench.push()
    assert row["plan"]["reasons"] == ["links among the robot's user packages are missing"]
    assert bench.imports("import plates; print(plates.VALUE)") == "1.0"
    assert bench.push()["outcome"] == "no change"


def test_robots_with_other_packages_get_what_each_needs(workplace_of: Callable[..., Any]) -> None:
    workplace = workplace_of(3)
    one, two, three = (Bench(workplace, name) for name in ("r1", "r2", "r3"))
    one.put(one.system, "tips", "1.5")
    two.put(two.system, "tips", "2.0")
    three.put(three.system, "unrelated", "1.0")
    workplace.environment("lab", one.wheel("plates", "1.0", "tips<2"), one.wheel("tips", "1.5"))
    rows = one.push("lab", status=3)
    assert (rows["r1"]["sent"], rows["r3"]["sent"]) == (1, 2)
    assert rows["r2"]["error"]["code"] == "shared-conflict"
    assert "tips==1.5 was asked for; the robot's own tips 2.0 wins" in rows["r2"]["error"]["what"]
    assert three.imports("import plates, tips; print(tips.VALUE)") == "1.5"


def test_a_robot_that_was_off_is_picked_up(workplace_of: Callable[..., Any], tmp_path: Path) -> None:
    workplace = workplace_of(2)
    one, two = Bench(workplace, "r1"), Bench(workplace, "r2")
    workplace.lab.stop("r2")
    module = tmp_path / "helpers.py"
    module.write_text("ANSWER = 42\n")
    one.push(module, status=3)
    workplace.lab.start("r2")
    workplace.lab.write()
    rows = workplace.push("--resume", "last")
    assert {name: row["outcome"] for name, row in rows.items()} == {"r1": "no change", "r2": "pushed"}
    assert two.imports("import helpers; print(helpers.ANSWER)") == "42"


@pytest.mark.parametrize(
    "wheel",
    [
        {"name": "x", "filename": "../../x-1-py3-none-any.whl", "sha256": "0" * 64},
        {"name": "x", "filename": "x-1-py3-none-any.whl", "sha256": "../x"},
    ],
)
def test_names_from_a_robot_are_not_believed(bench: Bench, wheel: dict[str, str]) -> None:
    bench.push(bench.wheel("plates"))
    path = bench.workplace.lab.base() / "envs/shared/current/manifest.json"
    manifest = json.loads(path.read_text())
    manifest["wheels"] = [{**manifest["wheels"][0], **wheel, "how": "local", "requested": True}]
    path.write_text(json.dumps(manifest))
    assert bench.push(status=1)["error"]["what"] == "its Python does not say which packages it has"


def test_a_dry_run_changes_nothing_and_says_what_would_be_done(bench: Bench) -> None:
    before = bench.files("var")
    row = bench.push(bench.wheel("plates"), "--dry-run")
    assert (row["outcome"], row["plan"]["action"]) == ("planned", "install")
    assert bench.files("var") == before


def test_what_cannot_be_meant_is_a_usage_error(bench: Bench, tmp_path: Path) -> None:
    workplace = bench.workplace
    workplace.environment("shared", bench.wheel("plates"))
    workplace.environment("lab", bench.wheel("plates"), more="variables: {KEY: value}")
    said = {
        ("push", "shared"): "shared is the name of what is shared with protocols",
        ("push", "lab", "--shared"): "lab sets variables (KEY), which protocols would not see",
        ("push", "lab", "--without", "x"): "--without is about what is shared with protocols",
        ("push",): "TARGET is missing",
        ("push", tmp_path / "x.ot2bundle", "--shared"): "a bundle file cannot be shared with protocols",
    }
    for words, what in said.items():
        assert workplace.run(*words, status=2)["what"].startswith(what)
    nothing = bench.push(status=1)["error"]
    assert nothing["what"] == "nothing is shared with its protocols yet"
