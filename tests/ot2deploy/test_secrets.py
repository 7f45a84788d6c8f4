"""Planted secrets are looked for wherever a push leaves something: output, records, logs, the robot, command lines."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from loopback_index import LONG_AGO, Served, fill, serving

INDEX, VARIABLE, TYPED, PASSPHRASE = "idx-s3cret", "var-s3cret", "typed-s3cret", "pass-s3cret"
DEMO = "demo-1.0-py3-none-any.whl"


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    """An index that wants a login."""
    fill(tmp_path / "index", {"any": [DEMO]}, uploaded=LONG_AGO)
    for name in ("UV_INDEX", "UV_EXTRA_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv-cache"))
    with serving(tmp_path / "index") as served:
        served.login = ("bob", INDEX)
        yield served


@contextmanager
def watched() -> Iterator[set[str]]:
    """The command lines of every process below this one, looked at again and again while the block runs."""
    seen: set[str] = set()
    over = threading.Event()

    def look() -> None:
        while not over.is_set():
            for directory in Path("/proc").iterdir():
                if directory.name.isdigit():
                    try:
                        seen.add((directory / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace"))
                    except OSError:
                        continue

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


def holding(secret: str, *roots: Path) -> list[str]:
    """The files below some directories that hold a text."""
    files = ((root, path) for root in roots for path in root.rglob("*") if path.is_file() and not path.is_symlink())
    return sorted(str(path.relative_to(root)) for root, path in files if secret.encode() in path.read_bytes())


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="command lines are read in /proc")
def test_a_push_leaves_no_secret_anywhere(workplace: Any, index: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    place = Path(workplace.directory)
    address = index.url.removeprefix("http://")
    monkeypatch.setenv("UV_DEFAULT_INDEX", f"http://bob:{INDEX}@{address}/any/simple/")
    path = place / "environments" / "lab" / "environment.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(f"requirements: [demo]\nvariables: {{TOKEN: {VARIABLE}}}\n")
    said = ""
    with watched() as seen:
        for words in (
            ("lock", "lab"), ("bundle", "lab", "--profile", "host", "-o", "lab.ot2bundle", "-v"),
            ("bundle", "lab", "--profile", "host", "-o", "lab.ot2bundle", "--json"),
        ):  # fmt: skip
            ran = workplace.run_cli(*words).good()
            said += ran.out + ran.err
        for words in (
            ("push", "lab", "-v"),
            ("push", "lab", "--json"),
            ("verify", "lab"),
            ("history",),
            ("status", "--json"),
        ):
            ran = workplace.run_cli(*words, "--robots", workplace.lab.path).good()
            said += ran.out + ran.err
        index.login = ("bob", "another")
        monkeypatch.setenv("UV_CACHE_DIR", str(place / "no-uv-cache"))
        failed = workplace.run_cli("lock", "lab", "--upgrade", "-v")
        assert failed.status != 0
        said += failed.out + failed.err
    assert any("uv" in line for line in seen), "the programs of the lock were not seen"
    for secret in (INDEX, VARIABLE):
        assert secret not in said
        assert not [line for line in seen if secret in line]
    state, cache, robot = place / ".ot2deploy", Path(os.environ["OT2DEPLOY_CACHE"]), workplace.lab.root("r1")
    assert holding(INDEX, state, cache, robot) == []
    assert INDEX.encode() not in (place / "lab.ot2bundle").read_bytes()
    kept = holding(VARIABLE, state / "runs")
    assert all((state / "runs" / name).stat().st_mode & 0o077 == 0 for name in kept), kept
    assert not [name for name in kept if name.endswith(".jsonl")]
    # The robot's programs need their variables: they stand in the release, and nowhere else.
    on_robot = holding(VARIABLE, robot)
    assert on_robot
    assert all(name.endswith("/manifest.json") for name in on_robot), on_robot


def test_what_is_typed_for_a_program_is_on_no_remote_command_line(workplace: Any) -> None:
    workplace.environment("plates", workplace.wheel("plates"))
    workplace.push("plates")
    told = workplace.run("exec", "-e", "plates", "--", "python3", "-c", "import sys; print(len(sys.argv[1]))", TYPED)
    assert str(len(TYPED)) in str(told)
    assert TYPED not in "\n".join(workplace.lab.log())
    assert holding(TYPED, Path(workplace.directory) / ".ot2deploy", workplace.lab.root("r1")) == []


def test_a_passphrase_is_on_no_command_line_and_in_no_file(
    workplace: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    workplace.environment("plates", workplace.wheel("plates"))
    keys = tmp_path / "keys"
    keys.mkdir()
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", PASSPHRASE, "-f", keys / "key"], check=True)
    asker = keys / "askpass"
    asker.write_text(f"#!/bin/sh\necho {PASSPHRASE}\n")
    asker.chmod(0o700)
    monkeypatch.setenv("SSH_ASKPASS", str(asker))
    monkeypatch.setenv("SSH_ASKPASS_REQUIRE", "force")
    with watched() as seen:
        words = ("bundle", "plates", "--profile", "host", "-o", "plates.ot2bundle", "--sign", keys / "key", "-v")
        ran = workplace.run_cli(*words).good()
    assert PASSPHRASE not in ran.out + ran.err
    assert not [line for line in seen if PASSPHRASE in line]
    (keys / "askpass").unlink()
    assert holding(PASSPHRASE, Path(workplace.directory), Path(os.environ["OT2DEPLOY_CACHE"])) == []
