"""The tree method: packs unpacked into a release, and what is refused in one."""

from __future__ import annotations

import base64
import hashlib
import io
import stat
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ot2deploy.agent.tree_install import PLACEHOLDER, shebang

SITE = "lib/python{}.{}/site-packages".format(*sys.version_info[:2])
SCRIPT = PLACEHOLDER + b"\nimport demo\ndemo.main()\n"


def tar(path: Path, members: dict[str, bytes], mode: int = 0o644, extra: list[tarfile.TarInfo] | None = None) -> Path:
    """A pack with these files; scripts are executable."""
    with tarfile.open(path, "w:gz", format=tarfile.GNU_FORMAT) as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(data), 0o755 if name.startswith("bin/") else mode
            archive.addfile(info, io.BytesIO(data))
        for info in extra or []:
            archive.addfile(info)
    return path


def demo_pack(path: Path) -> Path:
    """A pack like those of builder.pack, with a script and its RECORD."""
    digest = base64.urlsafe_b64encode(hashlib.sha256(SCRIPT).digest()).rstrip(b"=").decode()
    record = f'../../../bin/demo,sha256={digest},{len(SCRIPT)}\r\n"odd,name.txt",,\r\ndemo.py,,\r\n'
    return tar(
        path,
        {
            "bin/demo": SCRIPT,
            "share/demo/bin/data": PLACEHOLDER + b"\nnot a script\n",
            f"{SITE}/demo.py": b"def main(): print('demo runs')\n",
            f"{SITE}/demo-1.0.dist-info/RECORD": record.encode(),
            f"{SITE}/demo-1.0.dist-info/INSTALLER": b"pip\n",
        },
    )


def send_pack(agent: Any, path: Path) -> dict[str, str]:
    """Sends a pack; returns how `install` names it."""
    data = path.read_bytes()
    name = {"sha256": hashlib.sha256(data).hexdigest(), "filename": path.name}
    agent.write(
        (lambda request: b"J %d\n%s" % (len(request), request))(
            f'{{"op":"blob","kind":"packs","sha256":"{name["sha256"]}","size":{len(data)},'
            f'"filename":"{path.name}","offset":0}}'.encode()
        )
        + b"B %d\n%s" % (len(data), data)
    )
    assert agent.answer()["type"] == "result"
    return name


def test_a_pack_becomes_a_working_release(
    robot: Any, wheel: Callable[..., Any], manifest_of: Callable[..., Any], tmp_path: Path
) -> None:
    agent = robot.begin()
    manifest = manifest_of([wheel()])
    pack = send_pack(agent, demo_pack(tmp_path / "demo.tar.gz"))
    agent.result("install", manifest=manifest, method="tree", packs=[pack])
    release = robot.release(manifest)
    script = release / "bin/demo"
    output = subprocess.run([script], check=True, capture_output=True, text=True, timeout=60, env={}).stdout
    assert output == "demo runs\n"
    assert stat.S_IMODE(script.stat().st_mode) == 0o755
    digest = base64.urlsafe_b64encode(hashlib.sha256(script.read_bytes()).digest()).rstrip(b"=").decode()
    record = (release / SITE / "demo-1.0.dist-info/RECORD").read_bytes().decode()
    assert record == (f'../../../bin/demo,sha256={digest},{script.stat().st_size}\r\n"odd,name.txt",,\r\ndemo.py,,\r\n')
    assert (release / "share/demo/bin/data").read_bytes().startswith(PLACEHOLDER)


def test_as_many_packs_as_wheels(robot: Any, wheel: Callable[..., Any], manifest_of: Callable[..., Any]) -> None:
    manifest = manifest_of([wheel()])
    assert robot.begin().ask("install", manifest=manifest, method="tree", packs=[])["code"] == "bad-request"


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tarfile.TarInfo:
    """A member that is no plain file."""
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


@pytest.mark.parametrize(
    ("members", "extra"),
    [
        ({"../outside": b""}, []),
        ({"/etc/outside": b""}, []),
        ({"lib/../../outside": b""}, []),
        ({"./../outside": b""}, []),
        ({"pyvenv.cfg": b"home = /elsewhere\n"}, []),
        ({"bin/python3": b"#!/bin/sh\n"}, []),
        ({"bin/python3/x": b""}, []),
        ({"complete": b""}, []),
        ({"lib/python2.7/site-packages/x.py": b""}, []),
        ({}, [link("bin/sh", "/bin/sh")]),
        ({"out/x": b""}, [link("out", "/tmp")]),
        ({}, [link("hard", "pyvenv.cfg", tarfile.LNKTYPE)]),
        ({}, [link("null", "", tarfile.CHRTYPE)]),
        ({}, [link("pipe", "", tarfile.FIFOTYPE)]),
    ],
)
def test_what_no_wheel_may_bring_is_refused(
    robot: Any,
    wheel: Callable[..., Any],
    manifest_of: Callable[..., Any],
    tmp_path: Path,
    members: dict[str, bytes],
    extra: list[tarfile.TarInfo],
) -> None:
    agent = robot.begin()
    manifest = manifest_of([wheel()])
    pack = send_pack(agent, tar(tmp_path / "bad.tar.gz", members, extra=extra))
    error = agent.ask("install", manifest=manifest, method="tree", packs=[pack])
    assert error["code"] == "pack-unsafe", error
    assert not robot.release(manifest).exists()
    assert not list(tmp_path.rglob("outside"))


def test_a_pack_that_is_no_tar_is_refused(
    robot: Any, wheel: Callable[..., Any], manifest_of: Callable[..., Any], tmp_path: Path
) -> None:
    agent = robot.begin()
    (tmp_path / "bad.tar.gz").write_bytes(b"nonsense" * 100)
    pack = send_pack(agent, tmp_path / "bad.tar.gz")
    error = agent.ask("install", manifest=manifest_of([wheel()]), method="tree", packs=[pack])
    assert error["code"] == "pack-unsafe"


def test_setuid_is_dropped_and_a_later_wheel_replaces_an_earlier_ones_file(
    robot: Any, wheel: Callable[..., Any], manifest_of: Callable[..., Any], tmp_path: Path
) -> None:
    agent = robot.begin()
    manifest = manifest_of([wheel("one"), wheel("two")])
    packs = [
        send_pack(agent, tar(tmp_path / "one.tar.gz", {f"{SITE}/same.py": b"X = 1\n"})),
        send_pack(agent, tar(tmp_path / "two.tar.gz", {f"{SITE}/same.py": b"X = 2\n"}, mode=0o6755)),
    ]
    agent.result("install", manifest=manifest, method="tree", packs=packs)
    same = robot.release(manifest) / SITE / "same.py"
    assert same.read_text() == "X = 2\n"
    assert stat.S_IMODE(same.stat().st_mode) == 0o755


@pytest.mark.parametrize(
    "path", ["/var/x/bin/python3", "/var/with space/bin/python3", "/var/" + "x" * 200 + "/python3"]
)
def test_shebang_is_the_one_that_pip_writes(path: str, pip_directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(pip_directory))
    from pip._vendor.distlib.scripts import ScriptMaker, enquote_executable

    maker = ScriptMaker(None, "/nowhere")
    maker.executable = enquote_executable(path)
    assert shebang(path).rstrip() == maker._get_shebang("utf-8").rstrip()
