"""Both ways to install make the same release."""

from __future__ import annotations

import marshal
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from index_wheels import published

from builder.checks.facts import facts
from builder.pack import Packing, pack_all, pip_pin
from builder.profile_host import draft
from builder.store import Store

SITE = "lib/python{}.{}/site-packages".format(*sys.version_info[:2])


def contents(release: Path) -> dict[str, tuple[int, Any]]:
    """Mode and bytes of every file that wheels brought, without shebang lines and RECORD's rows of scripts."""
    found = {}
    for path in release.rglob("*"):
        name = path.relative_to(release).as_posix()
        if path.is_symlink() or not path.is_file() or name in ("manifest.json", "complete", "pyvenv.cfg"):
            continue
        data = path.read_bytes()
        if name.endswith(".dist-info/RECORD"):
            data = b"\n".join(sorted(row for row in data.splitlines() if b"bin/" not in row))
        if name.startswith("bin/"):
            data = data[data.rindex(b"import") :]
        # Code objects are equal when all but the paths in them are.
        content = (data[:16], marshal.loads(data[16:])) if name.endswith(".pyc") else data
        found[name] = (path.stat().st_mode, content)
    return found


@pytest.mark.network
def test_pip_and_tree_make_the_same_release(
    robot: Any, wheel: Callable[..., Any], manifest_of: Callable[..., Any], tmp_path: Path, shared_cache: Path
) -> None:
    profile = draft(facts())
    pin = pip_pin(profile)
    pip = published(shared_cache, "pip", pin.filename, pin.sha256)
    for entry in robot.site.iterdir():
        entry.unlink()
    with zipfile.ZipFile(pip) as archive:  # the robot's own pip is the one that packs are made with
        archive.extractall(robot.site)
    files = {
        "demo/__init__.py": "def main(): print('demo runs')\n",
        "demo/template.py": "{% not python %}\n",
        "demo-1.0.data/data/share/demo/file.txt": "data\n",
        "demo-1.0.data/scripts/tool": "#!python\nimport demo\n",
        "demo-1.0.data/headers/demo.h": "/* */\n",
    }
    wheels = [wheel("demo", files=files, scripts={"demo": "demo:main"}), wheel("other")]
    store = Store(tmp_path / "store")
    blobs = [store.add(made.path, how="test") for made in wheels]
    packing = Packing(profile=profile, interpreter=Path(sys.executable), pip_wheel=pip, store=store)
    packs = pack_all(blobs, packing)

    agent = robot.begin()
    by_pip = robot.install(agent, wheels, environment="pip")
    by_tree = manifest_of(wheels, environment="tree")
    names = []
    for pack in packs:
        names.append({"sha256": pack.sha256, "filename": pack.filename})
        robot.send_blob(agent, "packs", pack.path, pack.sha256)
    agent.result("install", manifest=by_tree, method="tree", packs=names)
    one, other = robot.release(by_pip), robot.release(by_tree)
    expected, found = contents(one), contents(other)
    assert sorted(found) == sorted(expected)
    assert found == expected

    driver = f"import runpy, sys; sys.path.append({str(robot.site)!r}); runpy.run_module('pip', run_name='__main__')"
    for command in (["list", "--path"], ["check"]):
        outputs = set()
        for release in (one, other):
            words = [*command, str(release / SITE)] if command[0] == "list" else command
            argv = [release / "bin/python3", "-I", "-B", "-c", driver, *words]
            done = subprocess.run(argv, capture_output=True, text=True, timeout=120)
            outputs.add((done.returncode, done.stdout))
        assert len(outputs) == 1, outputs
        assert "demo" in done.stdout or "No broken requirements" in done.stdout
    script = subprocess.run([other / "bin/demo"], capture_output=True, text=True, timeout=60, env={})
    assert script.stdout == "demo runs\n"
