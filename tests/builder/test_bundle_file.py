"""Bundle files: the same bytes for the same bundles, and nothing taken in that is not what it says."""

from __future__ import annotations

import json
import os
import re
import tomllib
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from packaging.pylock import Pylock
from wheel_factory import make_wheel

from builder.bundle import Bundle, assemble, digest, read, write
from builder.bundle.manifest import BundleFailure
from builder.environment import Environment, import_check
from builder.errors import DiskFailure
from builder.files import sha256_bytes
from builder.profile import load
from builder.store import Store

LAB = Environment(name="lab", requirements=("demo==1.0",), variables={"A": "b"})


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Bundle]:
    store = Store(tmp_path / "store")

    def make(profile: str = "ot2-py310", environment: Environment = LAB) -> Bundle:
        blob = store.add(make_wheel(tmp_path), how="public")
        row = {
            "name": "demo", "version": "1.0", "filename": blob.filename, "sha256": blob.sha256, "size": blob.size,
            "unpacked": 10, "files": 4, "how": "public", "requested": True,
        }  # fmt: skip
        return assemble(
            environment, load(profile), [row], [blob], quick=[import_check("demo")], as_of="2025-04-20", lock="f" * 64
        )

    return make


def changed(path: Path, change: Callable[[dict[str, bytes]], Any], **options: Any) -> Path:
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    change(members)
    with zipfile.ZipFile(path, "w", **options) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def with_manifest(**fields: Any) -> Callable[[dict[str, bytes]], None]:
    def change(members: dict[str, bytes]) -> None:
        name = next(name for name in members if name.startswith("manifests/"))
        members[name] = json.dumps({**json.loads(members[name]), **fields}).encode()

    return change


def test_the_manifest_is_the_contracts(make: Callable[..., Bundle]) -> None:
    manifest = make().manifest
    expected = "schema layout environment digest abi profile requirements variables system_packages wheels checks as_of"
    assert set(manifest) == {*expected.split(), "lock", "install_method"}
    assert manifest["digest"] == digest(manifest)


def test_the_digest_is_about_what_is_installed_only(make: Callable[..., Bundle]) -> None:
    first = make()
    assert make(environment=replace(LAB, install_method="tree", deep=(), requirements=("x",))).digest == first.digest
    assert make(environment=replace(LAB, variables={"A": "c"})).digest != first.digest
    assert make(environment=replace(LAB, system_packages=True)).digest != first.digest
    assert make("ot2-py312").digest != first.digest


def test_several_profiles_go_into_one_file_and_come_out_again(tmp_path: Path, make: Callable[..., Bundle]) -> None:
    bundles = (make("ot2-py310"), make("ot2-py312"))
    write(bundles, tmp_path / "lab.ot2bundle")
    write(tuple(reversed(bundles)), tmp_path / "again.ot2bundle")
    assert (tmp_path / "lab.ot2bundle").read_bytes() == (tmp_path / "again.ot2bundle").read_bytes()
    elsewhere = Store(tmp_path / "elsewhere")
    found = read(tmp_path / "lab.ot2bundle", elsewhere)
    assert [dict(one.manifest) for one in found] == [dict(one.manifest) for one in bundles]
    assert all(blob.path.is_relative_to(elsewhere.root) for one in found for blob in one.blobs)
    assert (elsewhere.record(found[0].blobs[0].sha256) or {})["how"] == "public"


def test_the_locks_inside_are_read_by_others(tmp_path: Path, make: Callable[..., Bundle]) -> None:
    write([make()], tmp_path / "lab.ot2bundle")
    with zipfile.ZipFile(tmp_path / "lab.ot2bundle") as archive:
        (name,) = (name for name in archive.namelist() if name.startswith("pylock"))
        locked = Pylock.from_dict(tomllib.loads(archive.read(name).decode()))
        (wheel,) = locked.packages[0].wheels or ()
        assert wheel.filename == "demo-1.0-py3-none-any.whl"
        assert wheel.path
        assert sha256_bytes(archive.read(wheel.path)) == wheel.hashes["sha256"]
    assert re.fullmatch(r"pylock\.[^.]+\.toml", name)


def _damage(members: dict[str, bytes]) -> None:
    name = next(name for name in members if name.startswith("blobs/"))
    members[name] = members[name][:-1] + b"x"


def _cut(members: dict[str, bytes]) -> None:
    name = next(name for name in members if name.startswith("blobs/"))
    members[name] = members[name][:-1]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_damage, "is damaged"),
        (_cut, "missing or cut off"),
        (lambda members: members.update({"../evil": b""}), "which no bundle has"),
        (lambda members: members.update({"blobs/" + "a" * 63 + "/": b""}), "which no bundle has"),
        (lambda members: members.clear(), "holds no manifest"),
        (with_manifest(schema=2), "made by a newer ot2deploy"),
        (with_manifest(layout=2), "made by a newer ot2deploy"),
        (with_manifest(environment="../../etc"), "not in order"),
        (with_manifest(variables={"A": "evil"}), "does not have the digest"),
        (with_manifest(wheels=[{"filename": "../x.whl"}]), "not in order"),
        (with_manifest(digest="x"), "not in order"),
    ],
)
def test_what_is_not_in_order_is_refused(
    tmp_path: Path, make: Callable[..., Bundle], change: Callable[[dict[str, bytes]], Any], said: str
) -> None:
    path = tmp_path / "lab.ot2bundle"
    write([make()], path)
    changed(path, change)
    with pytest.raises(BundleFailure, match=said):
        read(path, Store(tmp_path / "elsewhere"))


def test_nothing_in_it_may_swell(tmp_path: Path, make: Callable[..., Bundle]) -> None:
    path = tmp_path / "lab.ot2bundle"
    write([make()], path)
    changed(path, lambda members: None, compression=zipfile.ZIP_DEFLATED)
    with pytest.raises(BundleFailure, match="compressed"):
        read(path, Store(tmp_path / "elsewhere"))


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 and then nothing"])
def test_what_is_no_bundle_file(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.ot2bundle").write_bytes(content)
    with pytest.raises(BundleFailure, match="is no bundle file"):
        read(tmp_path / "x.ot2bundle", Store(tmp_path / "elsewhere"))
    with pytest.raises(BundleFailure, match="cannot be read"):
        read(tmp_path / "gone.ot2bundle", Store(tmp_path / "elsewhere"))


def test_a_wheel_damaged_in_the_store_is_not_written(tmp_path: Path, make: Callable[..., Bundle]) -> None:
    bundle = make()
    (blob,) = bundle.blobs
    before = blob.path.stat()
    blob.path.write_bytes(b"x" * blob.size)
    os.utime(blob.path, ns=(before.st_atime_ns, before.st_mtime_ns))  # as a disk that loses bits leaves it
    with pytest.raises(BundleFailure, match="damaged"):
        write([bundle], tmp_path / "lab.ot2bundle")
    assert not (tmp_path / "lab.ot2bundle").exists()
    assert Store(tmp_path / "store").blob(blob.sha256) is None, "else the next run would trust it again"


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path, make: Callable[..., Bundle]) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DiskFailure, match="file"):
        write([make()], tmp_path / "file" / "lab.ot2bundle")


def test_two_bundles_for_one_profile_do_not_go_together(tmp_path: Path, make: Callable[..., Bundle]) -> None:
    with pytest.raises(BundleFailure):
        write([make(), make()], tmp_path / "lab.ot2bundle")
