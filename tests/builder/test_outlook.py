"""What would be done for each package, found out without a build; and the nearest version where nothing can be."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from engine_factory import OT2, FakeTools, FakeUv, make_engine, pinned, served
from wheel_factory import make_wheel

from builder.acquire import gather
from builder.errors import BuildFailure
from builder.lock import Locked, LockedFile
from builder.package_build import Refusal
from builder.recipe import Recipe
from builder.targets import Search
from builder.wheels import orders
from builder.wheels.outlook import BUILD, BUILT, INDEX, NONE, PURE, REPAIR, Outlook, look
from builder.wheels.request import text

FIT = "manylinux_2_17_armv7l"
NEW = "manylinux_2_31_armv7l"


@pytest.fixture
def public(tmp_path: Path) -> Path:
    path = tmp_path / "public"
    path.mkdir()
    return path


def wheel(public: Path, name: str, platform: str) -> LockedFile:
    tag = "py3-none-any" if platform == "any" else f"cp310-cp310-{platform}"
    return served(make_wheel(public, f"{name}-1.0-{tag}.whl"))


def sdist(public: Path, name: str) -> LockedFile:
    (public / f"{name}-1.0.tar.gz").write_bytes(name.encode())
    return served(public / f"{name}-1.0.tar.gz")


def outlooks(
    root: Path, packages: list[Locked], *, tools: FakeTools | None = None, **options: object
) -> dict[str, Outlook]:
    engine = make_engine(root, uv=FakeUv(packages=packages), tools=tools or FakeTools(), **options)
    order = orders.of(["top"], Search(environments=(), packages=()), closure=True, as_of="2025-04-20")
    return {one.name: one for one in look(order, [OT2], engine)}


def test_every_state(tmp_path: Path, public: Path) -> None:
    tools = FakeTools(
        recipes={"greenlet": Recipe(name="greenlet", version=None, directory=tmp_path / "default", digest="")}
    )
    found = outlooks(
        tmp_path,
        [
            Locked(name="top", version="1.0", wheels=(wheel(public, "top", "any"),), parents=("",)),
            Locked(name="fast", version="1.0", wheels=(wheel(public, "fast", FIT),), parents=("top",)),
            Locked(name="newer", version="1.0", wheels=(wheel(public, "newer", NEW),), parents=("fast",)),
            Locked(name="ujson", version="1.0", sdist=sdist(public, "ujson"), parents=("top",)),
            Locked(name="greenlet", version="1.0", sdist=sdist(public, "greenlet"), parents=("ujson",)),
        ],
        tools=tools,
    )
    assert {name: one.state for name, one in found.items()} == {
        "top": PURE, "fast": INDEX, "newer": REPAIR, "ujson": BUILD, "greenlet": BUILD,
    }  # fmt: skip
    assert {name for name, one in found.items() if one.missing} == {"newer", "ujson", "greenlet"}
    assert found["greenlet"].chain == ("top", "ujson", "greenlet")
    assert (found["greenlet"].recipe, found["ujson"].recipe) == ("greenlet/default", "default")
    assert found["ujson"].seconds == 7.0  # as measured
    # What these tests call public is a directory, and directories are what a project names.
    assert found["top"].plan == "pure Python: take py3-none-any from your index, no build needed"
    assert not [call for call in tools.calls if call[0] == "build"]
    assert ("audit", "top-1.0-py3-none-any.whl") not in tools.calls  # its tag says it all


def test_a_fitting_tag_is_believed_only_after_the_audit(tmp_path: Path, public: Path) -> None:
    one = Locked(
        name="top", version="1.0", wheels=(wheel(public, "top", FIT),), sdist=sdist(public, "top"), parents=("",)
    )
    tools = FakeTools(refuses={f"top-1.0-cp310-cp310-{FIT}.whl": "glibc-too-new"}, repairs=False)
    found = outlooks(tmp_path, [one], tools=tools)
    assert found["top"].state == BUILD
    assert "glibc-too-new" in found["top"].reason


def test_what_is_to_come_from_source_is_built(tmp_path: Path, public: Path) -> None:
    one = Locked(
        name="top", version="1.0", wheels=(wheel(public, "top", "any"),), sdist=sdist(public, "top"), parents=("",)
    )
    order = orders.of(["top"], Search(environments=(), packages=()))
    engine = make_engine(tmp_path, uv=FakeUv(packages=[one]))
    assert [found.state for found in look(replace(order, from_source=True), [OT2], engine)] == [BUILD]


def test_what_was_built_is_no_longer_to_build(tmp_path: Path, public: Path) -> None:
    one = Locked(name="top", version="1.0", sdist=sdist(public, "top"), parents=("",))
    order = orders.of(["top"], Search(environments=(), packages=()))
    engine = make_engine(tmp_path, uv=FakeUv(packages=[one]))
    (resolved,) = orders.resolve(order, engine).parts
    gather(resolved.wanted(OT2), OT2, engine, as_of=resolved.as_of)
    (found,) = look(order, [OT2], engine)
    assert (found.state, found.missing) == (BUILT, True)
    assert found.plan == f"take {found.wheel} from the store, where it is since it was built"


def test_offline_what_is_not_here_is_judged_by_its_tag(tmp_path: Path, public: Path) -> None:
    rows = [
        Locked(name="top", version="1.0", wheels=(pinned(wheel(public, "top", FIT)),), parents=("",)),
        Locked(name="newer", version="1.0", wheels=(pinned(wheel(public, "newer", NEW)),), parents=("top",)),
    ]
    found = outlooks(tmp_path, rows, offline=True)
    assert {name: one.state for name, one in found.items()} == {"top": INDEX, "newer": REPAIR}
    assert "judged by its tag" in found["top"].reason


def test_a_refusal_of_a_recipe_is_the_answer(tmp_path: Path, public: Path) -> None:
    refused = Recipe(
        name="top",
        version=None,
        directory=tmp_path,
        digest="",
        refusal=Refusal(reason="needs 4 GB of memory", instead="tflite-runtime"),
    )
    one = Locked(name="top", version="1.0", sdist=sdist(public, "top"), parents=("",))
    found = outlooks(tmp_path, [one], tools=FakeTools(recipes={"top": refused}))["top"]
    assert (found.state, found.reason, found.instead) == (NONE, "needs 4 GB of memory", "tflite-runtime")


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """An index on this machine; the list holds the file names that it offers of every project."""
    offered: list[str] = []

    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            files = [{"filename": name, "url": f"/{name}", "hashes": {}} for name in offered]
            body = json.dumps({"meta": {"api-version": "1.0"}, "name": "top", "files": files}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/vnd.pypi.simple.v1+json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("UV_DEFAULT_INDEX", f"http://127.0.0.1:{server.server_port}/simple")
    yield offered
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("files", "instead"),
    [
        (["top-0.8.tar.gz", f"top-0.9-cp310-cp310-{FIT}.whl", f"top-0.7-cp310-cp310-{FIT}.whl"], "top==0.9"),
        ([f"top-2.0-cp310-cp310-{FIT}.whl", "top-0.8.tar.gz", f"top-0.9-cp310-cp310-{NEW}.whl"], "top==0.8"),
        (["top-1.0-cp310-cp310-win_amd64.whl", "top-0.9rc1.tar.gz"], "nothing of top"),
    ],
)
def test_the_nearest_thing_that_works(
    tmp_path: Path, public: Path, index: list[str], files: list[str], instead: str
) -> None:
    index += files
    elsewhere = wheel(public, "top", "win_amd64")
    found = outlooks(tmp_path, [Locked(name="top", version="1.0", wheels=(elsewhere,), parents=("",))])["top"]
    assert found.state == NONE
    assert found.instead.partition(",")[0].partition(":")[0] == instead


def test_what_cannot_be_resolved_is_not_to_be_had(tmp_path: Path) -> None:
    class Uv(FakeUv):
        def compile_lock(self, question, out: Path) -> dict[str, list[str]]:  # type: ignore[no-untyped-def]
            raise BuildFailure("the requirements cannot be resolved", details=("there is no version 9",))

    engine = make_engine(tmp_path, uv=Uv())
    order = orders.of(["a==9", "b==9"], Search(environments=(), packages=()), closure=True)
    found = look(order, [OT2], engine)
    assert [(one.name, one.state) for one in found] == [("a==9", NONE), ("b==9", NONE)]
    assert "there is no version 9" in found[0].reason


def test_a_python_that_the_profile_has_not(tmp_path: Path, public: Path) -> None:
    class Uv(FakeUv):
        def compile_lock(self, question, out: Path) -> dict[str, list[str]]:  # type: ignore[no-untyped-def]
            parents = super().compile_lock(question, out)
            own = '\nversion = "1.0"\n'
            out.write_text(out.read_text().replace(own, own + 'requires-python = ">=3.12"\n'))
            return parents

    one = Locked(name="top", version="1.0", sdist=sdist(public, "top"), parents=("",))
    order = orders.of(["top"], Search(environments=(), packages=()), closure=True)
    (found,) = look(order, [OT2], make_engine(tmp_path, uv=Uv(packages=[one])))
    assert (found.name, found.state) == ("top", NONE)
    assert "needs Python >=3.12" in found.reason


def test_the_request_says_all_that_is_known() -> None:
    one = Outlook(
        name="torch", version="2.1", profile="ot2-py310", state=NONE, reason="no wheel", chain=("lab", "torch"),
        requested=False, instead="torch==1.0",
    )  # fmt: skip
    said = text([one], "ot2deploy wheel missing lab==1", {"ot2deploy": "0.1"})
    for part in (
        "torch 2.1 for ot2-py310",
        "lab -> torch",
        "no wheel",
        "torch==1.0",
        "ot2deploy: 0.1",
        "wheel missing lab==1",
    ):
        assert part in said
