"""`ot2deploy index publish` over SSH and rsync: a real client, a real server."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from publish_desk import Desk, filled, tree, whole

SSH = shutil.which("ssh")
RSYNC = shutil.which("rsync")
SYMLINKED = ("sh", "rsync")  # what the commands here need of the system, beside ssh


@pytest.fixture
def desk(tmp_path, run_cli) -> Desk:
    return filled(tmp_path, run_cli)


@dataclass(frozen=True, kw_only=True)
class Far:
    """A computer that ssh reaches as `lab`: the target on it, and the directory that this is."""

    directory: Path
    configuration: Path
    port: int
    identity: Path
    log: Callable[[], list[str]]

    @property
    def target(self) -> str:
        return f"lab:{self.directory}"

    def configure(self, *, port: int | None = None, identity: Path | None = None, known: str | None = None) -> None:
        """The user's ssh configuration."""
        hosts = self.configuration.with_name("known_hosts")
        if known is not None:
            hosts.write_text(known)
        lines = ["Host lab", "HostName 127.0.0.1", f"Port {port or self.port}", "User root", "HostKeyAlias lab"]
        lines += [f"IdentityFile {identity or self.identity}", "IdentitiesOnly yes", f"UserKnownHostsFile {hosts}"]
        self.configuration.write_text("\n".join(lines) + "\n")


@pytest.fixture
def far(embedded_lab, tmp_path, monkeypatch, request) -> Far:
    """The server; `ssh` on PATH is the real one with a configuration of ours, as its home is not the tests' one."""
    assert SSH, "no ssh: see scripts/system-packages.txt"
    lab = embedded_lab(1)
    robot = lab.robots["r1"]
    made = Far(
        directory=lab.root("r1") / "srv" / "my wheels",
        configuration=tmp_path / "ssh_config",
        port=robot.port,
        identity=lab.identity,
        log=lab.log,
    )
    made.configure(known=f"lab {robot.host_key}\n")
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "ssh").write_text(f'#!/bin/sh\nexec {SSH} -F {made.configuration} "$@"\n')
    (programs / "ssh").chmod(0o755)
    for name in SYMLINKED:
        if name != "rsync" or getattr(request, "param", "rsync") == "rsync":
            if not shutil.which(name):
                pytest.skip(f"no {name}: see scripts/system-packages.txt")
            (programs / name).symlink_to(str(shutil.which(name)))
    monkeypatch.setenv("PATH", str(programs))
    return made


both_ways = pytest.mark.parametrize("far", ["rsync", "tar"], indirect=True)


@both_ways
def test_a_computer_behind_ssh_gets_the_tree_and_the_same_again_is_no_change(desk, far, request):
    done = desk.publish(far.target)
    way = {"rsync": "rsync --server", "tar": "tar -xf"}
    asked = "".join(far.log())
    assert [name for name, words in way.items() if words in asked] == [request.node.callspec.params["far"]]
    assert done["proof"] == "sha256"
    assert {file["path"]: file["sha256"] for file in done["files"]} == tree(far.directory)
    whole(far.directory)
    assert {path.stat().st_mode & 0o777 for path in far.directory.rglob("*") if path.is_file()} == {0o644}
    before = {path: path.stat().st_mtime_ns for path in far.directory.rglob("*")}
    assert desk.publish(far.target)["changed"] is False
    assert {path: path.stat().st_mtime_ns for path in far.directory.rglob("*")} == before


@both_ways
def test_damage_behind_ssh_is_found_and_mended_and_stale_files_go(desk, far):
    desk.publish(far.target)
    page = far.directory / "ot2-py310" / "simple" / "lab" / "index.json"
    page.write_bytes(b"x" * page.stat().st_size)
    (far.directory / f"{desk.wheel('lab')}.metadata").unlink()
    assert set(desk.publish(far.target, "--dry-run")["sent"]) == {
        "ot2-py310/simple/lab/index.json",
        f"{desk.wheel('lab')}.metadata",
    }
    desk.publish(far.target)
    whole(far.directory)
    (desk.directory / "dist" / "ot2-py310" / "other-1.0-py3-none-any.whl").unlink()
    desk.build("--replace")
    assert desk.wheel("other") in desk.publish(far.target, "--delete")["stale"]
    assert not (far.directory / desk.wheel("other")).exists()
    assert not (far.directory / "own" / "simple" / "other").exists()
    whole(far.directory)


@both_ways
def test_a_cut_connection_leaves_the_old_tree_whole_and_the_same_command_goes_on(desk, far, cutting_proxy):
    desk.publish(far.target)
    for number in range(3):
        desk.add(f"big{number}", size=1 << 20)
    desk.build()
    old = tree(far.directory)
    # The question what is there is the first connection; the second one is cut while wheels are on their way.
    with cutting_proxy(far.port, after=1_500_000, times=9) as port:
        far.configure(port=port)
        failed = desk.publish(far.target, status=1)
    assert "again" in failed["next"]
    assert {path: sha256 for path, sha256 in tree(far.directory).items() if path in old} == old
    whole(far.directory)
    far.configure()
    desk.publish(far.target)
    whole(far.directory)
    assert {file["path"]: file["sha256"] for file in desk.publish(far.target)["files"]} == tree(far.directory)


@pytest.mark.parametrize("what", ["key", "host key", "port", "directory"])
def test_an_ssh_that_fails_is_one_clear_error_without_a_question(desk, far, what, tmp_path):
    if what == "key":
        from ot2deploy.sim import embedded

        embedded.new_key_pair(tmp_path / "other")
        far.configure(identity=tmp_path / "other")
    elif what == "host key":
        far.configure(known="")
    elif what == "port":
        far.configure(port=9)
    target = "lab:/proc/nowhere" if what == "directory" else far.target
    failed = desk.publish(target, status=1)
    said = {"key": "ssh-add", "host key": "ssh lab", "port": "Try: ssh lab", "directory": "Run the same command again"}
    assert said[what] in failed["next"]
    assert failed["details"]


@pytest.mark.skipif(RSYNC is None, reason="no rsync: see scripts/system-packages.txt")
def test_an_rsync_daemon_gets_the_tree_and_what_is_wrong_there_is_found(desk, tmp_path):
    module = tmp_path / "module"
    module.mkdir()
    with daemon(tmp_path, module) as url:
        done = desk.publish(f"{url}lab/wheels")
        assert done["proof"] == "rsync's checksums"
        out = module / "wheels"
        assert {file["path"]: file["sha256"] for file in done["files"]} == tree(out)
        whole(out)
        assert desk.publish(f"{url}lab/wheels/")["changed"] is False
        page = out / "ot2-py310" / "simple" / "lab" / "index.html"
        page.write_bytes(b"x" * page.stat().st_size)
        assert desk.publish(f"{url}lab/wheels", "--dry-run")["sent"] == ["ot2-py310/simple/lab/index.html"]
        desk.publish(f"{url}lab/wheels")
        (desk.directory / "dist" / "ot2-py310" / "other-1.0-py3-none-any.whl").unlink()
        desk.build("--replace")
        assert desk.wheel("other") in desk.publish(f"{url}lab/wheels", "--delete")["stale"]
        assert not (out / desk.wheel("other")).exists()
        assert (out / desk.wheel("lab")).exists()
        whole(out)
        assert "nowhere" in str(desk.publish(f"{url}nowhere", status=1)["details"])


@contextlib.contextmanager
def daemon(directory: Path, module: Path) -> Iterator[str]:
    """An rsync daemon with a module `lab`."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    configuration = directory / "rsyncd.conf"
    configuration.write_text(
        f"use chroot = no\nuid = {os.getuid()}\ngid = {os.getgid()}\nlog file = {directory}/rsyncd.log\n"
        f"pid file = {directory}/rsyncd.pid\n[lab]\npath = {module}\nread only = no\n"
    )
    process = subprocess.Popen(
        [str(RSYNC), "--daemon", "--no-detach", f"--config={configuration}", f"--port={port}", "--address=127.0.0.1"],
        stdin=subprocess.DEVNULL,
    )
    try:
        while process.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                break
        yield f"rsync://127.0.0.1:{port}/"
    finally:
        process.terminate()
        process.wait()
