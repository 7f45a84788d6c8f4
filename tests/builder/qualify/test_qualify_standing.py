"""What is said of a bundle that was not run, or not wholly: without running anything."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from engine_factory import OT2, make_engine
from wheel_factory import make_wheel

from builder.bundle import Bundle, assemble
from builder.environment import Environment, import_check
from builder.qualify import EMULATED, Options, Qualified, Row, qualify
from builder.qualify.system import NoEmulation
from builder.standing import keep, standing
from builder.store import Store
from ot2deploy.cli.qualify import parts
from ot2deploy.qualify import Proofs

PIP = Row(name="pip check", kind="program", ok=True)
PROOF = Qualified(
    environment="lab", digest="0" * 64, profile="ot2-py310", title="ot2-py310", state=EMULATED, wheels=1,
    interpreter="CPython 3.10",
)  # fmt: skip


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    """A bundle for robots with Python 3.10 that has a deep check."""
    store = Store(tmp_path / "store")
    blob = store.add(make_wheel(tmp_path, "demo-1.0-py3-none-any.whl"), how="built")
    record = store.record(blob.sha256) or {}
    columns = ("name", "version", "filename", "sha256", "size", "unpacked", "files")
    row = {**{key: record[key] for key in columns}, "how": "built", "requested": True}
    wanted = Environment(name="lab", requirements=("demo",), deep=(import_check("demo"),))
    return assemble(wanted, OT2, [row], [blob], quick=(), as_of="2025-04-20", lock="0" * 64)


def text(found: Qualified) -> list[str]:
    """A proof as people see it."""
    return [line for part in parts(found) for line in getattr(part, "lines", ())]


def test_what_could_not_be_run_is_no_success(tmp_path: Path, bundle: Bundle) -> None:
    found = qualify(bundle, None, Options(engine=make_engine(tmp_path), twin=False))
    assert (found.state, found.ok, found.ran) == ("audited, not emulated", True, False)
    assert Proofs(found=(found,)).exit_code == 1
    assert text(found)[-1] == "1 wheel audited; nothing was run"
    assert found.as_dict()["ran"] is False


def test_why_there_is_no_twin_keeps_its_lines(tmp_path: Path, bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_interpreter(*_: object, **__: object) -> None:
        raise NoEmulation("32-bit ARM programs cannot be run", why="This is a Mac.", next="Qualify on Linux.")

    monkeypatch.setattr("builder.qualify.proof.debian_interpreter", no_interpreter)
    found = qualify(bundle, None, Options(engine=make_engine(tmp_path)))
    assert text(found)[:4] == [
        f"lab {bundle.digest[:12]} for ot2-py310: audited, not emulated "
        "(no ARM interpreter of Python 3.10 is at hand, and its twin could not be made)",
        "  32-bit ARM programs cannot be run",
        "    This is a Mac.",
        "    Qualify on Linux.",
    ]
    assert Proofs(found=(found,)).exit_code == 1


def test_a_twin_that_was_run_is_enough() -> None:
    twin = Qualified(**{**vars(PROOF), "title": "cp311 twin"})
    found = Qualified(**{**vars(PROOF), "state": "audited, not emulated", "interpreter": "", "twin": twin})
    assert (found.ran, Proofs(found=(found,)).exit_code) == (True, 0)


def test_deep_checks_that_were_not_run_are_counted() -> None:
    found = Qualified(**{**vars(PROOF), "rows": (PIP,), "left_out": ("a flow runs",), "seconds": 3.0})
    assert text(found)[-1] == "0 wheels audited; 1 check: 1 ok, 1 deep check not run on CPython 3.10; 3.0 s"
    assert found.as_dict()["left_out"] == ["a flow runs"]


@pytest.fixture
def proved(bundle: Bundle, tmp_path: Path) -> Callable[..., str]:
    """Keeps a proof, and gives what stands then."""
    store = Store(tmp_path / "store")

    def kept(*, ok: bool = True, whole: bool = True) -> str:
        keep(bundle, store, title="ot2-py310", interpreter="CPython", identity="1", ok=ok, whole=whole)
        return standing(bundle, store)

    return kept


def test_a_proof_without_the_deep_checks_says_so(proved: Callable[..., str]) -> None:
    assert proved(whole=False) == "emulated, deep checks not run"
    assert proved() == "emulated"
    assert proved(whole=False) == "emulated"  # that the deep ones passed still stands
    assert proved(ok=False, whole=False) == "failed when emulated"
    assert proved(whole=False) == "emulated, deep checks not run"
