"""The shared environment: links in the user packages, right after every step and after being cut off anywhere."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ot2deploy.agent import layout as layouts
from ot2deploy.agent import purge, remove, shared, statefile, switch

RUN = ("run-1", "ada@lab")
LIVE = {"kind": "import", "name": "import plates", "module": "plates", "timeout": 60}


class Killed(BaseException):
    """The agent ends here."""


class Bench:
    """A robot whose interpreter looks into the user packages."""

    def __init__(self, robot: Any, wheel: Callable[..., Any]) -> None:
        self.robot, self.wheel = robot, wheel
        self.user: Path = robot.root / f"var/user-packages/usr/lib/python{robot.version}/site-packages"
        (robot.site / "user-packages.pth").write_text(f"{self.user}\n")
        self.layout = layouts.Layout("/var/ot2deploy", str(robot.root))

    def push(self, agent: Any, *wheels: Any, **changes: Any) -> dict[str, Any]:
        """A shared release, made and switched to."""
        options = {"environment": "shared", "shared": True, "system_packages": True, **changes}
        manifest: dict[str, Any] = self.robot.push(agent, list(wheels), **options)
        return manifest

    def links(self) -> set[str]:
        """Everything in the directory of user packages, relative to it."""
        return {path.name for path in self.user.iterdir()} if self.user.is_dir() else set()

    def says(self, code: str) -> str:
        """What a program prints in the interpreter of protocols."""
        ran = subprocess.run([self.robot.python, "-c", code], capture_output=True, text=True, timeout=60, check=True)
        return ran.stdout.strip()

    def tree(self) -> dict[str, Any]:
        """Everything under /var but our own directory: kind and mode, a file's bytes, a link's target."""
        return {
            str(path): (
                path.lstat().st_mode,
                path.readlink() if path.is_symlink() else path.is_file() and path.read_bytes(),
            )
            for path in sorted((self.robot.root / "var").rglob("*"))
            if self.robot.base not in (path, *path.parents)
        }  # fmt: skip

    def is_right(self) -> None:
        """What is current can be imported, each of its names has a link, and no link is of anything else."""
        digest = layouts.current_digest(self.layout, "shared")
        site = self.robot.base / "envs/shared/releases" / str(digest) / f"lib/python{self.robot.version}/site-packages"
        names = {path.name for path in site.iterdir()} if digest else set()
        assert self.links() - {"__pycache__"} == {name for name in names if not name.endswith(".pth")} - {"__pycache__"}


@pytest.fixture
def bench(robot: Any, wheel: Callable[..., Any]) -> Bench:
    return Bench(robot, wheel)


@pytest.fixture
def killing(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], Any], int], bool]:
    """A function that runs another one, which ends as if killed at its nth effect: before or, if n is odd, after it.

    True where it was killed; False where it has fewer effects than that."""

    def run(work: Callable[[], Any], number: int) -> bool:
        left = [number // 2]

        def effect(real: Callable[..., Any]) -> Callable[..., Any]:
            def act(*args: Any, **kwargs: Any) -> Any:
                left[0] -= 1
                if left[0] < 0 and number % 2 == 0:
                    raise Killed
                done = real(*args, **kwargs)
                if left[0] < 0:
                    raise Killed
                return done

            return act

        with monkeypatch.context() as patch:
            for name in ("symlink", "unlink", "mkdir", "rmdir", "replace"):
                patch.setattr(os, name, effect(getattr(os, name)))
            try:
                work()
            except Killed:
                return True
        return False

    return run


def test_a_release_can_be_imported_where_protocols_run(bench: Bench) -> None:
    agent = bench.robot.begin()
    files = {"plates/__init__.py": "WELLS = 96\n", "racks.py": "TUBES = 24\n"}
    manifest = bench.push(agent, bench.wheel("plates", files=files))
    bench.is_right()
    where = "import plates, racks; print(plates.WELLS, racks.TUBES, plates.__file__)"
    assert bench.says(where) == f"96 24 {bench.user}/plates/__init__.py"
    assert bench.says("from importlib.metadata import version; print(version('plates'))") == "1.0"
    asked = {"environment": "shared", "digest": manifest["digest"], "depth": "live", "fingerprint": "f1"}
    (result,) = agent.result("verify", **asked, checks=[LIVE])["results"]
    assert result["ok"], result
    assert result["version"] == "1.0"


def test_a_module_that_the_system_hides_fails_its_live_check(bench: Bench) -> None:
    agent = bench.robot.begin()
    manifest = bench.push(agent, bench.wheel("plates"))
    (bench.robot.site / "plates.py").write_text("")
    asked = {"environment": "shared", "digest": manifest["digest"], "depth": "live", "fingerprint": "f1"}
    answer = agent.result("verify", **asked, checks=[LIVE])
    assert not answer["ok"]
    assert answer["results"][0]["why"].startswith(f"found at {bench.robot.site}/plates.py, outside the release")


def test_names_come_and_go_with_releases(bench: Bench) -> None:
    agent = bench.robot.begin()
    first = bench.push(agent, bench.wheel("plates"), bench.wheel("racks"))
    assert bench.says("import plates; print(plates.__version__)") == "1.0"
    bench.push(agent, bench.wheel("plates", "2.0"), bench.wheel("tips"))
    bench.is_right()
    assert "racks.py" not in bench.links()
    assert not list(bench.user.glob("__pycache__/*")), "compiled of another release"
    assert bench.says("import plates, tips; print(plates.__version__)") == "2.0"
    assert agent.result("rollback", environment="shared")["current"] == first["digest"]
    bench.is_right()
    assert bench.says("import plates, racks; print(plates.__version__)") == "1.0"


def test_files_of_others_are_never_replaced(bench: Bench) -> None:
    agent = bench.robot.begin()
    bench.user.mkdir(parents=True)
    (bench.user / "plates.so").write_text("by hand")
    (bench.user / "racks").mkdir()
    made = bench.robot.install(
        agent, [bench.wheel("plates"), bench.wheel("racks"), bench.wheel("tips")], environment="shared", shared=True
    )
    asked = {"environment": "shared", "digest": made["digest"]}
    agent.result("verify", **asked, checks=[], depth="quick", fingerprint="f1")
    refused = agent.ask("switch", **asked)
    assert (refused["code"], refused["what"].split(":")[0]) == ("foreign-files", "plates, racks")
    assert refused["details"] == [str(bench.user / "plates.so"), str(bench.user / "racks")]
    assert bench.links() == {"plates.so", "racks"}
    assert layouts.current_digest(bench.layout, "shared") is None
    (bench.user / "plates.so").unlink()
    (bench.user / "racks").rmdir()
    assert agent.result("switch", **asked)["changed"]
    bench.is_right()


def test_links_that_somebody_took_away_come_back_with_the_next_session(bench: Bench) -> None:
    agent = bench.robot.begin()
    bench.push(agent, bench.wheel("plates"), bench.wheel("racks"))
    agent.close()
    (bench.user / "plates.py").unlink()
    (bench.user / "racks.py").unlink()
    (bench.user / "racks.py").write_text("TAKEN = True\n")
    bench.robot.begin()
    assert bench.says("import plates; print(plates.__version__)") == "1.0"
    assert bench.says("import racks; print(racks.TAKEN)") == "True"


@pytest.mark.parametrize("user_packages", ["nothing", "somebody's"])
@pytest.mark.parametrize("how", ["remove", "purge"])
def test_the_user_packages_are_afterwards_as_they_were(bench: Bench, how: str, user_packages: str) -> None:
    if user_packages == "somebody's":
        (bench.user / "__pycache__").mkdir(parents=True)
        (bench.user / "__pycache__" / "tools.cpython-311.pyc").write_bytes(b"")
        (bench.user / "tools.py").write_text("")
    before = bench.tree()
    agent = bench.robot.begin()
    bench.push(agent, bench.wheel("plates"))
    subprocess.run([bench.robot.python, "-O", "-c", "import plates"], check=True, timeout=60)  # leaves its own .pyc
    assert bench.tree() != before
    agent.result(how, **({"environment": "shared"} if how == "remove" else {}))
    assert bench.tree() == before


def test_links_for_a_python_that_is_gone_are_swept_with_it(bench: Bench) -> None:
    old = bench.robot.root / "var/user-packages/usr/lib/python3.7/site-packages"
    old.mkdir(parents=True)
    (old / "plates.py").symlink_to(bench.robot.base / "envs/shared/current/lib/python3.7/site-packages/plates.py")
    (old / "dangling.py").symlink_to("/not/ours")
    agent = bench.robot.begin()
    bench.push(agent, bench.wheel("plates"))
    assert {path.name for path in old.iterdir()} == {"dangling.py"}


def test_the_name_is_for_shared_environments_alone(bench: Bench, manifest_of: Callable[..., Any]) -> None:
    agent = bench.robot.begin()
    for changes in ({"environment": "shared"}, {"environment": "other", "shared": True}):
        refused = agent.ask("install", manifest=manifest_of([bench.wheel("plates")], **changes), method="pip")
        assert refused["code"] == "bad-request"


def test_a_switch_that_is_cut_off_anywhere_converges(bench: Bench, killing: Callable[..., bool]) -> None:
    agent = bench.robot.begin()
    releases = [
        bench.push(agent, bench.wheel("plates"), bench.wheel("racks")),
        bench.push(agent, bench.wheel("plates", "2.0"), bench.wheel("tips")),
    ]
    agent.close()
    at = 0
    for number in _until_done():
        target = releases[at]["digest"]
        cut = killing(lambda: switch.switch(bench.layout, {"environment": "shared", "digest": target}, *RUN), number)  # noqa: B023
        assert bench.says("import plates; print(plates.__version__)") in ("1.0", "2.0")
        bench.robot.begin().close()
        bench.is_right()
        if not cut:
            break
        switch.switch(bench.layout, {"environment": "shared", "digest": target}, *RUN)
        bench.is_right()
        at = 1 - at
    assert number > 16


@pytest.mark.parametrize("how", ["remove", "purge"])
def test_a_removal_that_is_cut_off_anywhere_converges(bench: Bench, how: str, killing: Callable[..., bool]) -> None:
    before = bench.tree()
    var, kept = bench.robot.root / "var", bench.robot.root / "kept"
    agent = bench.robot.begin()
    bench.push(agent, bench.wheel("plates"))
    agent.close()
    shutil.copytree(var, kept, symlinks=True)

    def work() -> None:
        if how == "purge":
            purge.purge(bench.layout)
        else:
            remove.remove(bench.layout, {"environment": "shared"}, *RUN)

    for number in _until_done():
        shutil.rmtree(var)
        shutil.copytree(kept, var, symlinks=True)
        if not killing(work, number):
            break
        if number % 3:  # a session begins before it is asked for again
            shared.converge(bench.layout)
            bench.is_right()
        if (bench.robot.base / "envs/shared").is_dir() or how == "purge":
            work()
        assert bench.tree() == before
    assert bench.tree() == before
    assert number > 10


def _until_done() -> Iterator[int]:
    yield from range(400)
    raise AssertionError("it never came to its end")


def test_what_a_file_claims_that_we_made_stays_within_the_user_packages(bench: Bench) -> None:
    bench.robot.base.mkdir()
    (bench.robot.root / "var/data").mkdir()
    claims = ["/var/data", "/var/user-packages/../data", "/var/user-packages2", 7]
    statefile.write(bench.layout.shared, {"schema": 1, "directories": claims})
    (bench.robot.root / "var/user-packages2").mkdir()
    shared.clear(bench.layout)
    assert (bench.robot.root / "var/data").is_dir()
    assert (bench.robot.root / "var/user-packages2").is_dir()
