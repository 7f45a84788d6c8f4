"""The bill of materials of a wheel: what it says, that the same parts give the same bytes, and where it stands."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from wheel_factory import make_wheel

from builder.audit import audit
from builder.errors import MissingExtra
from builder.profile import load
from builder.wheel import WheelFile
from builder.wheel.sbom import Part, components, sbom
from builder.wheel.writer import Entry, rewrite

FFI = Part(
    role="static library",
    name="libffi-dev",
    version="3.4.4-1",
    purl="pkg:deb/debian/libffi-dev@3.4.4-1?arch=armhf",
    sha256="a" * 64,
)
CRATE = Part(role="crate", name="libc", version="0.2.1", purl="pkg:cargo/libc@0.2.1", licence="MIT/Apache-2.0")
ODD = Part(role="crate", name="ring", version="0.1.0", purl="pkg:cargo/ring@0.1.0", licence="as its file says")


def test_it_names_every_part_the_tools_and_the_changes(tmp_path: Path) -> None:
    wheel = WheelFile.open(make_wheel(tmp_path))
    entry = sbom(wheel, [FFI, CRATE, ODD], tools={"zig": "0.17.0"}, changes=["a.so: fcntl"])
    assert entry.name == "demo-1.0.dist-info/sboms/ot2deploy.cdx.json"
    told = json.loads(entry.data)
    assert (told["bomFormat"], told["specVersion"]) == ("CycloneDX", "1.6")
    by_name = {one["name"]: one for one in told["components"]}
    assert by_name["libffi-dev"]["hashes"] == [{"alg": "SHA-256", "content": "a" * 64}]
    assert by_name["libffi-dev"]["properties"] == [{"name": "ot2deploy:role", "value": "static library"}]
    assert by_name["libc"]["licenses"] == [{"expression": "MIT OR Apache-2.0"}]
    assert by_name["ring"]["licenses"] == [{"license": {"name": "as its file says"}}]
    root = told["metadata"]["component"]
    assert root["purl"] == "pkg:pypi/demo@1.0"
    assert root["properties"] == [{"name": "ot2deploy:change:001", "value": "a.so: fcntl"}]
    assert {tool["name"]: tool.get("version") for tool in told["metadata"]["tools"]["components"]} == {
        "ot2deploy": None,
        "zig": "0.17.0",
    }
    graph = {one["ref"]: one.get("dependsOn", []) for one in told["dependencies"]}
    assert sorted(graph["wheel"]) == sorted(part.purl for part in (FFI, CRATE, ODD))


def test_the_same_parts_give_the_same_bytes_and_others_another_serial_number(tmp_path: Path) -> None:
    wheel = WheelFile.open(make_wheel(tmp_path))
    first, second = sbom(wheel, [FFI, CRATE]), sbom(wheel, [CRATE, FFI, CRATE])
    assert first == second
    assert "timestamp" not in json.loads(first.data)["metadata"]
    numbers = {json.loads(one.data)["serialNumber"] for one in (first, second, sbom(wheel, [FFI]))}
    assert len(numbers) == 2


def test_it_joins_those_that_are_there_and_stands_in_record(tmp_path: Path) -> None:
    own = json.dumps({"bomFormat": "CycloneDX", "components": [{"name": "vendored", "type": "library"}]}).encode()
    info = {"sboms/own.cdx.json": own, "sboms/damaged.json": b"{", "sboms/list.json": b"[]"}
    wheel = WheelFile.open(make_wheel(tmp_path, info=info))
    path = rewrite(wheel, tmp_path / "out", added=[sbom(wheel, [CRATE])])
    assert audit(path, load("ot2-py310")).findings == ()
    found = components(WheelFile.open(path))
    assert {(one["sbom"], one["name"]) for one in found} == {
        ("own.cdx.json", "vendored"),
        ("ot2deploy.cdx.json", "libc"),
    }


def test_what_is_added_stands_instead_of_what_had_its_name(tmp_path: Path) -> None:
    wheel = WheelFile.open(make_wheel(tmp_path))
    path = rewrite(wheel, tmp_path / "out", added=[Entry(name="demo/__init__.py", data=b"VALUE = 2\n")])
    assert WheelFile.open(path).read("demo/__init__.py") == b"VALUE = 2\n"
    assert audit(path, load("ot2-py310")).ok


def test_without_the_library_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wheel = WheelFile.open(make_wheel(tmp_path))
    monkeypatch.setitem(sys.modules, "cyclonedx.model.bom", None)
    with pytest.raises(MissingExtra, match="cyclonedx-python-lib is not installed"):
        sbom(wheel, [])
