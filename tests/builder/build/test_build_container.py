"""Wheels really built in containers without network; and the same bytes whoever builds them, wherever."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tiny_project import CPLUSPLUS, PYPROJECT, C, make_sdist, request_for, tiny

import builder
from builder.audit import audit
from builder.build import BuildOptions, Source
from builder.build.container import LABEL
from builder.docker import engine as docker_engine
from builder.docker.engine import Closed
from builder.errors import BuildFailure, DiskFailure, ToolFailure
from builder.files import sha256_file
from builder.profile import load
from builder.run import ending, stopping
from builder.toolchain import apt
from builder.toolchain.container_image import ensure_image

pytestmark = [pytest.mark.network, pytest.mark.docker, pytest.mark.slow]
DEBIAN = "debian-12-armhf"
CODE = {"c": (C, "fast.c"), "c++": (CPLUSPLUS, "fast.cpp")}


def options(toolchain: str, **more: int) -> BuildOptions:
    return BuildOptions(timeout=600, toolchain=toolchain, **more)


def labels_of_containers() -> list[str]:
    import docker

    found = docker.from_env().containers.list(filters={"label": LABEL})
    return [container.labels[LABEL] for container in found]


@pytest.mark.parametrize(("profile", "toolchain"), [("ot2-py310", "container"), (DEBIAN, "container:gcc:debian")])
def test_a_wheel_from_a_container(build, tmp_path: Path, profile: str, toolchain: str, monkeypatch) -> None:
    monkeypatch.setattr("builder.toolchain.headers.DEBIAN", {})  # the headers of the container's own Python must do
    if "gcc" in toolchain and not apt.available():
        pytest.skip("Debian's cross compiler is fetched by apt")
    built = build(request_for(tiny(tmp_path), profile), options(toolchain))
    assert audit(built.path, load(profile)).ok
    assert built.path.stat().st_uid == os.getuid()
    made = built.provenance["toolchain"]
    assert made["container"]["id"].startswith("sha256:")
    assert made["headers"]["kind"] == "host"
    assert any(requirement.startswith("setuptools==") for requirement in built.provenance["requirements"])


def fails_with(tmp_path: Path, code: str) -> Source:
    """A project whose setup.py ends with what an expression says."""
    return make_sdist(tmp_path, {"pyproject.toml": PYPROJECT, "setup.py": f"import os\nraise SystemExit({code})\n"})


def test_hooks_have_no_network_and_are_the_callers(build, tmp_path: Path) -> None:
    source = fails_with(tmp_path, "f'{os.listdir(\"/sys/class/net\")} {os.getuid()} {os.getcwd()}'")
    with pytest.raises(ToolFailure) as raised:
        build(request_for(source, DEBIAN), options("container"))
    assert f"['lo'] {os.getuid()} /build/source/tiny-1.0" in "\n".join(raised.value.details)


def test_a_full_disk_in_a_container_is_no_failed_build(build, tmp_path: Path) -> None:
    source = fails_with(tmp_path, "os.write(os.open('/dev/full', os.O_WRONLY), b'x')")
    with pytest.raises(DiskFailure, match="no space left on this host") as raised:
        build(request_for(source, DEBIAN), options("container"))
    assert raised.value.subject == "tiny 1.0"


def test_a_hook_that_hangs_is_ended_with_its_container(build, tmp_path: Path, shared_cache: Path) -> None:
    source = fails_with(tmp_path, "__import__('time').sleep(600)")
    with pytest.raises(BuildFailure, match="did not end within 5 s"):
        build(request_for(source, DEBIAN), BuildOptions(timeout=5, toolchain="container"))
    assert not [label for label in labels_of_containers() if label.startswith(str(shared_cache))]


def test_stopping_ends_what_runs_in_a_container(shared_cache: Path) -> None:
    docker = docker_engine.connect()
    image = ensure_image("", "3.11", docker, lambda _event: None)
    up, ended = threading.Event(), []

    class Log(io.BytesIO):
        def write(self, data: Any) -> int:
            up.set()
            return super().write(data)

    with docker.closed(Closed(image=image, binds=(), labels={})) as room, ending(room.end):

        def work() -> None:
            argv = ["sh", "-c", "echo up; sleep 600"]
            ended.append(room.run(argv, cwd="/", environment={}, log=Log(), timeout=600))

        thread = threading.Thread(target=work)
        thread.start()
        assert up.wait(60)
        with stopping():
            thread.join(60)
    assert ended == [docker_engine.KILLED]


@pytest.mark.skipif(not shutil.which("mmdebstrap"), reason="Docker's own Python images have every one")
def test_an_image_without_the_python_is_told(build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("builder.build.container._host_interpreter", lambda _minor: None)
    with pytest.raises(BuildFailure, match=r"has no CPython 3\.10") as raised:
        build(request_for(tiny(tmp_path)), options("container"))
    assert "container=python:3.10" in raised.value.next


def test_a_container_does_not_outlive_us_when_we_are_killed(shared_cache: Path) -> None:
    import docker

    image = ensure_image("", "3.11", docker_engine.connect(), lambda _event: None)
    code = (
        "import sys\nfrom builder.docker.engine import Closed, connect\n"
        f"with connect().closed(Closed(image={image!r}, binds=(), labels={{}})) as room:\n"
        "    print(room._name, flush=True)\n    sys.stdin.read()"
    )
    caller = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(builder.__file__).parent.parent)},
    )
    assert caller.stdout
    name = caller.stdout.readline().strip()
    client = docker.from_env()
    assert client.containers.get(name).status == "running"
    caller.kill()
    caller.communicate()
    with contextlib.suppress(docker.errors.NotFound):
        client.containers.get(name).wait(condition="removed", timeout=60)


@pytest.fixture
def elsewhere(shared_cache: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[], None]:
    """Makes the rest of the test another user's: another cache, umask, time zone, user in the container, one core."""
    closed, run = docker_engine.Engine.closed, docker_engine.Room.run
    root = os.getuid() == 0
    mask = os.umask(0o022)
    written: list[Path] = []

    def give() -> None:
        for directory in written if root else []:
            for path in [directory, *directory.rglob("*")]:
                os.chown(path, 4711, 4711, follow_symlinks=False)

    def closed_elsewhere(self: docker_engine.Engine, wanted: Closed):  # type: ignore[no-untyped-def]
        written.extend(bind.host for bind in wanted.binds if bind.writable)
        return closed(self, replace(wanted, user=f"{4711 if root else os.getuid()}:4711", cores="0"))

    def run_elsewhere(self: docker_engine.Room, *arguments: Any, **named: Any) -> int | None:
        give()  # what we have written since is theirs
        return run(self, *arguments, **named)

    def become() -> None:
        cache = tmp_path / "a" / "longer way" / "to the cache"
        cache.mkdir(parents=True)
        shutil.copytree(shared_cache / "zig", cache / "zig")
        (cache / "toolchain").symlink_to(shared_cache / "toolchain")
        for directory in (tmp_path, *cache.parents):
            if directory.is_relative_to(tmp_path.parent.parent):
                directory.chmod(0o755)
        monkeypatch.setenv("OT2DEPLOY_CACHE", str(cache))
        monkeypatch.setattr(docker_engine.Engine, "closed", closed_elsewhere)
        monkeypatch.setattr(docker_engine.Room, "run", run_elsewhere)
        monkeypatch.setenv("TZ", "Pacific/Auckland")
        time.tzset()
        os.umask(0o077)

    yield become
    os.umask(mask)
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(("language", "compiler"), [("c++", "zig"), ("c", "gcc:debian")])
def test_the_same_bytes_whoever_builds(build, tmp_path: Path, elsewhere, language: str, compiler: str) -> None:
    if compiler == "gcc:debian" and not apt.available():
        pytest.skip("Debian's cross compiler is fetched by apt")
    request = request_for(tiny(tmp_path, *CODE[language]), DEBIAN)
    found = {}

    def keep(who: str, toolchain: str, jobs: int) -> None:
        path = build(request, options(toolchain, jobs=jobs)).path
        found[who] = sha256_file(path)
        path.rename(tmp_path / f"{who}.whl")

    keep("host", compiler, 2)
    keep("container", f"container:{compiler}", 2)
    elsewhere()
    keep("elsewhere", f"container:{compiler}", 1)
    assert len(set(found.values())) == 1, found
