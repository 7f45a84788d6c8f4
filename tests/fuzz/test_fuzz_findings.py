"""What fuzzing found once, each as an input of its own."""

from __future__ import annotations

import hashlib
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from wheel_factory import make_wheel

from builder.bundle import read
from builder.bundle.manifest import BundleFailure, validated
from builder.profile import load
from builder.store import Store
from builder.wheel.file import WheelFile
from ot2deploy.agent import fields, manifest, statefile
from ot2deploy.agent.refusal import Refusal
from ot2deploy.robots.state import parse

HALF = "a\ud800b"  # half a character: JSON may say it, no file name or file can
DEEP = "[" * 3000 + "]" * 3000
CASE = Path(__file__).parent.parent / "cases" / "probe" / "ot2-pushed.txt"


@pytest.mark.parametrize(
    "read_field",
    [
        lambda: fields.text({"run": HALF}, "run"),
        lambda: fields.directory({"base": f"/{HALF}"}, "base", ""),
        lambda: fields.variables({"variables": {"A": HALF}}),
        lambda: manifest.check(
            {
                "schema": 1, "layout": 1, "environment": "x", "system_packages": False, "wheels": [], "abi": HALF,
                "digest": "0" * 64,
            }
        ),
    ],
)  # fmt: skip
def test_half_characters_are_refused_by_the_agent(read_field: Any) -> None:
    with pytest.raises(Refusal) as caught:
        read_field()
    assert caught.value.code == "bad-request"


def test_half_characters_outside_of_names_are_kept_in_state_files(tmp_path: Path) -> None:
    statefile.write(str(tmp_path / "manifest.json"), {"schema": 1, "requirements": [HALF]})
    assert statefile.read(str(tmp_path / "manifest.json")) == {"schema": 1, "requirements": [HALF]}


@pytest.mark.parametrize("changes", [{"layout": "1"}, {"layout": None}, {"abi": "x", "requirements": [HALF]}])
def test_manifests_with_wrong_types_and_half_characters_are_refused(changes: dict[str, Any]) -> None:
    value = {
        "schema": 1, "layout": 1, "environment": "lab", "abi": "x", "profile": load("ot2-py310").as_dict(),
        "requirements": [], "variables": {}, "system_packages": False, "wheels": [], "digest": "0" * 64,
        "checks": {"quick": [], "deep": []}, "install_method": None, **changes,
    }  # fmt: skip
    with pytest.raises(BundleFailure):
        validated(value, "lab.ot2bundle")


@pytest.mark.parametrize("manifest_text", [DEEP, '{"schema": 1, "layout": ' + DEEP + "}"])
def test_deep_json_in_a_bundle_is_refused(tmp_path: Path, manifest_text: str) -> None:
    path = tmp_path / "x.ot2bundle"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("manifests/ot2-py310.json", manifest_text)
    with pytest.raises(BundleFailure):
        read(path, Store(tmp_path / "store"))


def test_member_names_that_are_no_text_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.ot2bundle"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("manifests/é.json", "{}")
    path.write_bytes(path.read_bytes().replace("é".encode(), b"\xff\xfe"))
    with pytest.raises(BundleFailure, match="is no bundle file"):
        read(path, Store(tmp_path / "store"))


def test_a_name_that_only_the_member_itself_has_wrong_is_a_damaged_member(tmp_path: Path) -> None:
    path = make_wheel(tmp_path, files={"demo/é.py": b""})
    data = path.read_bytes()
    path.write_bytes(data.replace("é".encode(), b"\xff\xfe", 1))  # the first is the member's, the last the directory's
    wheel = WheelFile.open(path)
    assert [name for name, content in ((member.name, data) for member, data in wheel.contents()) if content is None]


def test_tags_that_are_none_are_left_out(tmp_path: Path) -> None:
    wheel = "Wheel-Version: 1.0\nTag: \x01py3-none-any\nTag: py3-none-any\nTag: a-b-\n"
    found = WheelFile.open(make_wheel(tmp_path, wheel=wheel))
    assert [str(tag) for tag in found.wheel_tags] == ["py3-none-any"]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"==ot2deploy:end", b"==ot2deploy:environment ../../etc\nx\n\n==ot2deploy:end"),
        (b"==ot2deploy:end", b"==ot2deploy:environment demo\nx\n/\n\n==ot2deploy:end"),
        (b"==ot2deploy:links\n", b"==ot2deploy:links\n-rwx 1 0 0 \xc2\xb2 1 2 3 /usr/bin/python3\n"),
        (b"==ot2deploy:links\n", b"==ot2deploy:links\nlrwx 1 0 0 9 1 2 3 /usr/bin/python3 -> \xff\n"),
        (b"==ot2deploy:memory\n", b"==ot2deploy:memory\n" + b"9" * 5000),
        (b"==ot2deploy:facts\n", b"==ot2deploy:facts\n" + DEEP.encode()),
    ],
)
def test_a_robot_may_say_nonsense_of_itself(before: bytes, after: bytes) -> None:
    printed = CASE.read_bytes()
    assert before in printed
    state = parse("otto", printed.replace(before, after))
    json.dumps(state.as_dict(), default=str)
    assert all(fields.NAME.fullmatch(name) for name in state.environments)
    digests = [digest for one in state.environments.values() for digest in one.releases]
    assert all(len(digest) == len(hashlib.sha256().hexdigest()) for digest in digests)
