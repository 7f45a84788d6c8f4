"""Unpacking sources: verified, and nothing written outside."""

from __future__ import annotations

import contextlib
import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from builder.errors import HashFailure
from builder.files import sha256_file
from builder.source.unpack import BadSource, unpack, verify


def make_tar(path: Path, members: list[tarfile.TarInfo]) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for member in members:
            tar.addfile(member, io.BytesIO(b"x" * member.size))
    return path


def member(name: str, *, kind: bytes = tarfile.REGTYPE, link: str = "", mode: int = 0o644) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode, info.size = kind, link, mode, 1 if kind == tarfile.REGTYPE else 0
    return info


def test_the_top_directory_is_the_tree_and_programs_stay_programs(tmp_path: Path) -> None:
    archive = make_tar(tmp_path / "a.tar.gz", [member("a-1/configure", mode=0o755), member("a-1/x.c")])
    tree = unpack(archive, tmp_path / "out")
    assert tree.name == "a-1"
    assert (tree / "configure").stat().st_mode & 0o100


@pytest.mark.parametrize(
    "bad",
    [
        member("../escaped"),
        member("a/../../escaped"),
        member("a/link", kind=tarfile.SYMTYPE, link="../../escaped"),
        member("a/link", kind=tarfile.SYMTYPE, link="/etc/passwd"),
        member("a/hard", kind=tarfile.LNKTYPE, link="../../escaped"),
        member("a/fifo", kind=tarfile.FIFOTYPE),
        member("a/device", kind=tarfile.CHRTYPE),
    ],
    ids=lambda info: f"{info.name}-{info.linkname}",
)
def test_tar_members_that_must_not_be_written(tmp_path: Path, bad: tarfile.TarInfo) -> None:
    with pytest.raises(BadSource, match="cannot unpack"):
        unpack(make_tar(tmp_path / "a.tar.gz", [bad]), tmp_path / "deep" / "out")
    assert not list(tmp_path.rglob("escaped"))


@pytest.mark.parametrize("name", ["../escaped", "a/../../escaped", "/escaped", "a\\..\\escaped", "C:/escaped"])
def test_zip_members_that_must_not_be_written(tmp_path: Path, name: str) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        file.writestr(name, "x")
    with pytest.raises(BadSource, match="leaves the archive"):
        unpack(tmp_path / "a.zip", tmp_path / "deep" / "out")
    assert not list(tmp_path.rglob("*escaped"))


def zip_links(path: Path, *links: tuple[str, str]) -> Path:
    with zipfile.ZipFile(path, "w") as file:
        for name, target in links:
            info = zipfile.ZipInfo(name)
            info.external_attr = 0o120777 << 16
            file.writestr(info, target)
        file.writestr("a-1/deep/x.c", "x")
    return path


def test_zip_keeps_programs_and_links(tmp_path: Path) -> None:
    program = zipfile.ZipInfo("a-1/configure")
    program.external_attr = 0o100755 << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        file.writestr(program, "#!/bin/sh\n")
    assert (unpack(tmp_path / "a.zip", tmp_path / "out") / "configure").stat().st_mode & 0o100
    tree = unpack(zip_links(tmp_path / "b.zip", ("a-1/src/x.c", "../deep/x.c")), tmp_path / "out-b")
    assert (tree / "src" / "x.c").read_text() == "x"


@pytest.mark.parametrize(
    "links",
    [
        [("a-1/link", "/etc/passwd")],
        [("a-1/link", "../../escaped")],
        [("a-1/out", "../.."), ("a-1/out/escaped", "x")],
        [("a-1/p", "q/../.."), ("a-1/q", ".")],
        [("a-1/loop", "loop/../../..")],
        [("a-1/deep/x.c", "y")],
    ],
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_zip_links_that_must_not_be(tmp_path: Path, links: list[tuple[str, str]]) -> None:
    (tmp_path / "deep").mkdir()
    with pytest.raises(BadSource):
        unpack(zip_links(tmp_path / "a.zip", *links), tmp_path / "deep" / "out")
    assert not [path for path in tmp_path.rglob("escaped") if path.parent.resolve() == tmp_path]
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["out"]


def test_subdirectories_stay_inside(tmp_path: Path) -> None:
    archive = make_tar(tmp_path / "a.tar.gz", [member("repo-1/python/setup.py")])
    assert unpack(archive, tmp_path / "out", subdirectory="python").name == "python"
    with pytest.raises(BadSource, match="has no directory"):
        unpack(archive, tmp_path / "out", subdirectory="../..")


def test_what_is_no_archive(tmp_path: Path) -> None:
    (tmp_path / "a.tar.gz").write_bytes(b"<html>")
    with pytest.raises(BadSource):
        unpack(tmp_path / "a.tar.gz", tmp_path / "out")


def test_damaged_archives_are_bad_sources(tmp_path: Path) -> None:
    good = make_tar(tmp_path / "a.tar.gz", [member("a-1/x.c"), member("a-1/y.c")]).read_bytes()
    zipped = tmp_path / "good.zip"
    with zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a-1/x.c", "int x;" * 100)
    for name, data in (("a.tar.gz", good), ("a.zip", zipped.read_bytes())):
        for at in range(10, len(data)):  # every byte once: whatever is wrong, the error is ours
            (tmp_path / name).write_bytes(data[:at] + bytes([data[at] ^ 0x55]) + data[at + 1 :])
            with contextlib.suppress(BadSource):
                unpack(tmp_path / name, tmp_path / "out")


def test_changed_bytes_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"a")
    verify(tmp_path / "a", sha256_file(tmp_path / "a"))
    with pytest.raises(HashFailure, match="sha256 mismatch for a"):
        verify(tmp_path / "a", "0" * 64)
