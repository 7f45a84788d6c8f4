"""Every kind of source is got, is the one that was pinned, and is unpacked as the project; served from this machine."""

from __future__ import annotations

import io
import subprocess
import tarfile
import threading
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from engine_factory import OT2, FakeTools, Told, make_engine, served

from builder import package_build as p
from builder.acquire import Acquired, acquire
from builder.errors import BuildFailure, HashFailure, NetworkFailure, OfflineFailure
from builder.fetch import Fetcher
from builder.files import sha256_file
from builder.lock import LockedFile
from builder.package_build import Refusal
from builder.recipe import Recipe
from builder.selection import Wanted
from builder.source import Source
from builder.source.unpack import unpack
from builder.toolchain import apt

FILES = {"pyproject.toml": b"[project]\n", "sub/setup.py": b"# setup\n", "configure": b"#!/bin/sh\n"}


class Github(Fetcher):
    """A fetcher that finds the files of GitHub in a directory served from this machine; remembers what was asked."""

    def __init__(self, site: str) -> None:
        super().__init__()
        self.site = site
        self.asked: list[str] = []

    def download(self, url: str, destination: Path, **options: Any) -> None:
        self.asked.append(url)
        super().download(url.replace("https://github.com", self.site), destination, **options)


@pytest.fixture
def public(tmp_path: Path) -> Path:
    path = tmp_path / "public"
    path.mkdir()
    return path


@pytest.fixture
def github(public: Path) -> Iterator[Github]:
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(public))) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield Github(f"http://127.0.0.1:{server.server_port}")
        server.shutdown()


def zipped(path: Path, top: str = "demo-1.0") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in FILES.items():
            info = zipfile.ZipInfo(f"{top}/{name}")
            info.external_attr = (0o755 if name == "configure" else 0o644) << 16
            archive.writestr(info, data)
    return path


def tarred(path: Path, top: str = "demo-1.0") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz") as archive:
        for name, data in FILES.items():
            info = tarfile.TarInfo(f"{top}/{name}")
            info.size, info.mode = len(data), 0o755 if name == "configure" else 0o644
            archive.addfile(info, io.BytesIO(data))
    return path


def wanted(sdist: LockedFile | None = None) -> Wanted:
    return Wanted(name="demo", version="1.0", candidates=(), sdist=sdist, chain=("demo",), requested=True)


class Lab:
    """One engine, and a recipe with the source in question."""

    def __init__(self, root: Path, fetcher: Fetcher | None = None, digest: str = "1", **recipe: Any) -> None:
        self.root = root
        self.tools = FakeTools(
            recipes={"demo": Recipe(name="demo", version="1.0", directory=root, digest=digest, **recipe)}
        )
        self.engine = partial(make_engine, root, tools=self.tools, fetcher=fetcher or Fetcher())
        self.told = Told()

    def acquire(self, sdist: LockedFile | None = None, **options: Any) -> Acquired:
        return acquire(wanted(sdist), OT2, self.engine(**options), report=self.told)

    def tree(self) -> Path:
        """What the last build was given, unpacked."""
        source = self.tools.requests[-1].source
        assert sha256_file(source.path) == source.sha256
        return unpack(source.path, self.root / f"unpacked-{len(self.tools.requests)}", subdirectory=source.subdirectory)


def names(tree: Path) -> list[str]:
    return sorted(path.relative_to(tree).as_posix() for path in tree.rglob("*") if path.is_file())


@pytest.mark.parametrize("path", [None, "sub"])
@pytest.mark.parametrize("asset", [None, "demo-1.0.tar.gz"])
def test_a_tag_archive_and_a_release_asset(tmp_path: Path, public: Path, github: Github, asset: str, path: str) -> None:
    where = f"o/r/releases/download/v1.0/{asset}" if asset else "o/r/archive/refs/tags/v1.0.zip"
    made = (tarred if asset else zipped)(public / where, "r-1.0")
    source = p.github_source(org="o", repo="r", tag="v1.0", sdist_archive=asset, path=path, sha256=sha256_file(made))
    lab = Lab(tmp_path, github, source=source)
    assert lab.acquire().how == "built"
    tree = lab.tree()
    assert names(tree) == (["setup.py"] if path else sorted(FILES))
    assert path or (tree / "configure").stat().st_mode & 0o111
    asked = lab.tools.requests[0].source
    assert (asked.kind, asked.url) == (source.kind, f"https://github.com/{where}")
    assert github.asked == [f"https://github.com/{where}"]


def test_an_archive_comes_from_the_first_place_that_has_the_right_bytes(tmp_path: Path, public: Path) -> None:
    good, other = tarred(public / "good.tar.gz"), tarred(public / "other.tar.gz", "other")
    places = [(public / "gone.tar.gz").as_uri(), other.as_uri(), good.as_uri()]
    lab = Lab(tmp_path, source=p.archive(urls=places, sha256=sha256_file(good)))
    lab.acquire()
    assert names(lab.tree()) == sorted(FILES)
    assert any("sha256 mismatch" in message for message in lab.told.messages)


def test_a_changed_byte_is_refused_before_anything_is_unpacked(tmp_path: Path, public: Path) -> None:
    made = tarred(public / "x.tar.gz")
    for places in ([made.as_uri()], [made.as_uri(), (public / "gone").as_uri()]):
        lab = Lab(tmp_path, source=p.archive(urls=places, sha256="0" * 64))
        with pytest.raises(HashFailure) as raised:
            lab.acquire()
        told = " ".join(raised.value.lines())
        assert "sha256 mismatch" in told or "places" in told
        assert not lab.tools.requests


def test_no_place_has_it(tmp_path: Path, public: Path) -> None:
    places = [(public / name).as_uri() for name in ("a.tar.gz", "b.tar.gz")]
    with pytest.raises(NetworkFailure, match="none of the 2 places") as raised:
        Lab(tmp_path, source=p.archive(urls=places, sha256="0" * 64)).acquire()
    assert len(raised.value.details) == 2


def test_the_index_is_one_more_place_of_the_same_file(tmp_path: Path, public: Path) -> None:
    sdist = served(tarred(public / "demo-1.0.tar.gz"))
    lab = Lab(tmp_path, source=p.archive((public / "gone.tar.gz").as_uri(), sha256=sdist.sha256))
    lab.acquire(sdist)
    assert lab.tools.requests[0].source.sha256 == sdist.sha256


def test_a_host_that_cannot_fetch_the_source_is_a_reason_like_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apt, "available", lambda: False)
    with pytest.raises(BuildFailure, match="no wheel for") as raised:
        Lab(tmp_path, source=p.debian_source("demo", "1.0-1", sha256="0" * 64)).acquire()
    assert any("has no apt-get" in line for line in raised.value.details)


def test_a_source_without_sha256_gives_way_to_the_sdist_and_that_is_told(tmp_path: Path, public: Path) -> None:
    lab = Lab(tmp_path, source=p.github_source(org="pandas-dev", repo="pandas", tag="v1.5.0"))
    found = lab.acquire(served(tarred(public / "demo-1.0.tar.gz")))
    said = "archive of pandas-dev/pandas's tag v1.5.0"
    assert [(passed.what, passed.reason) for passed in found.passed_over] == [
        (said, "its recipe gives no sha256 for it; built from the index's sdist")
    ]
    asked = lab.tools.requests[0].source
    assert (asked.kind, asked.why) == ("index sdist", f"the recipe gives no sha256 for the {said}")
    with pytest.raises(BuildFailure) as raised:
        Lab(tmp_path / "2", source=p.github_source(org="pandas-dev", repo="pandas", tag="v1.5.0")).acquire()
    assert any("ot2deploy recipe pin" in line for line in raised.value.details)


def test_the_index_sdist_must_be_the_one_that_was_pinned(tmp_path: Path, public: Path) -> None:
    sdist = served(tarred(public / "demo-1.0.tar.gz"))
    lab = Lab(tmp_path, source=p.index_sdist(sha256=sdist.sha256))
    assert not lab.acquire(sdist).passed_over
    with pytest.raises(HashFailure, match=r"sha256 mismatch for demo-1\.0\.tar\.gz"):
        Lab(tmp_path / "2", source=p.index_sdist(sha256="0" * 64)).acquire(sdist)


@pytest.fixture
def commit(tmp_path: Path, public: Path) -> Callable[[dict[str, bytes]], str]:
    """Commits files in public/repository, which is tampered with by hooks; gives the commit."""
    repository = public / "repository"
    repository.mkdir()
    quiet = ["git", "-c", "user.name=x", "-c", "user.email=x@x.invalid", "-c", "init.defaultBranch=main"]
    subprocess.run([*quiet, "init", "-q"], cwd=repository, check=True, timeout=60)

    def make(files: dict[str, bytes]) -> str:
        for name, data in files.items():
            (repository / name).parent.mkdir(exist_ok=True)
            (repository / name).write_bytes(data)
        subprocess.run([*quiet, "add", "."], cwd=repository, check=True, timeout=60)
        subprocess.run([*quiet, "commit", "-q", "-m", "x"], cwd=repository, check=True, timeout=60)
        done = subprocess.run(["git", "rev-parse", "HEAD"], cwd=repository, check=True, timeout=60, capture_output=True)
        return done.stdout.decode().strip()

    return make


def test_a_git_commit_once_and_then_from_the_store(
    tmp_path: Path, public: Path, commit: Callable[[dict[str, bytes]], str]
) -> None:
    first = commit(FILES)
    second = commit({"later.py": b""})
    url = (public / "repository").as_uri()
    lab = Lab(tmp_path, source=p.git_source(url, first))
    lab.acquire()
    assert names(lab.tree()) == sorted(FILES)  # no later.py, no .git
    assert lab.tools.requests[0].source.url == f"git+{url}@{first}"
    (public / "repository").rename(public / "gone")
    again = Lab(tmp_path, digest="2", source=p.git_source(url, first, path="sub"))
    again.acquire(offline=True)
    assert names(again.tree()) == ["setup.py"]
    with pytest.raises(NetworkFailure, match=f"commit {second[:12]} cannot be got"):
        Lab(tmp_path, digest="3", source=p.git_source(url, second)).acquire()
    with pytest.raises(OfflineFailure):
        Lab(tmp_path, digest="4", source=p.git_source("https://git.invalid/x", second)).acquire(offline=True)


def test_a_directory_beside_the_recipe(tmp_path: Path) -> None:
    for name, data in FILES.items():
        (tmp_path / "tree" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "tree" / name).write_bytes(data)
    (tmp_path / "tree" / "configure").chmod(0o755)
    lab = Lab(tmp_path, source=p.local_source("tree"))
    assert lab.acquire().how == "built"
    assert names(lab.tree()) == sorted(FILES)
    assert (lab.tree() / "configure").stat().st_mode & 0o111


def test_a_debian_source_is_the_upstream_archive(tmp_path: Path, public: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = tarred(public / "demo_1.0.orig.tar.gz")
    asked: list[tuple[str, str]] = []

    def answer(package: str, version: str, sha256: str, into: Path) -> Path:
        asked.append((package, version))
        return made

    monkeypatch.setattr(apt, "upstream_archive", answer)
    source: Source = p.debian_source("demo", "1.0-1", sha256=sha256_file(made))
    with pytest.raises(OfflineFailure):
        Lab(tmp_path, source=source).acquire(offline=True)
    for digest in ("1", "2"):
        lab = Lab(tmp_path, digest=digest, source=source)
        lab.acquire()
        assert names(lab.tree()) == sorted(FILES)
    assert asked == [("demo", "1.0-1")]


@pytest.mark.network
@pytest.mark.skipif(not apt.available(), reason="needs apt-get and dpkg-deb")
def test_a_real_debian_source(shared_cache: Path, tmp_path: Path) -> None:
    with pytest.raises(HashFailure, match="sha256 mismatch") as raised:
        apt.upstream_archive("markupsafe", "2.1.2-1", "0" * 64, tmp_path)
    assert "markupsafe_2.1.2.orig.tar.gz" in raised.value.why


@pytest.mark.parametrize(
    ("recipe", "as_of"),
    [
        ({"build_dependencies": ("numpy", "Cython")}, "2022-09-19"),
        ({"build_dependencies": ("numpy", "Cython"), "as_of": "2023-01-01"}, "2023-01-01"),
        ({"build_dependencies": ("numpy<2", "Cython"), "constraints": ("cython==3.0.1",)}, "2026-01-01"),
        ({}, "2026-01-01"),
    ],
)
def test_build_dependencies_that_a_recipe_leaves_open_are_of_the_day_of_the_release(
    tmp_path: Path, public: Path, recipe: dict[str, Any], as_of: str
) -> None:
    sdist = replace(served(tarred(public / "demo-1.0.tar.gz")), uploaded="2022-09-19")
    lab = Lab(tmp_path, **recipe)
    acquire(wanted(sdist), OT2, lab.engine(), as_of="2026-01-01", report=lab.told)
    assert lab.tools.requests[0].as_of == as_of
    told = "demo 1.0: its recipe leaves numpy, Cython open: as of 2022-09-19, the day of the release"
    assert (told in lab.told.messages) is (as_of == "2022-09-19")


def test_a_project_that_cannot_be_had_is_answered_with_the_reason(tmp_path: Path, public: Path) -> None:
    refusal = Refusal(reason="It needs AVX.", instead="numpy")
    lab = Lab(tmp_path, refusal=refusal)
    with pytest.raises(BuildFailure) as raised:
        lab.acquire(served(tarred(public / "demo-1.0.tar.gz")))
    assert any("It needs AVX." in line for line in raised.value.details)
    assert raised.value.next == "Instead: numpy"
    assert not lab.tools.requests
