"""`ot2deploy index publish --command`: what a program gets, and that what it did is proved."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from publish_desk import Desk, filled, hidden, tree, whole


@pytest.fixture
def desk(tmp_path, run_cli) -> Desk:
    return filled(tmp_path, run_cli)


def copies(desk: Desk, out: Path, *, fault: str = "") -> str:
    """A command that copies a tree, as an object store's program does, and then does some harm."""
    script = desk.directory / "store.py"
    script.write_text(
        "import shutil, sys, pathlib\n"
        "shutil.copytree(sys.argv[1], sys.argv[2], dirs_exist_ok=True)\n"
        f"out = pathlib.Path(sys.argv[2])\n{fault}\n"
    )
    return f"{sys.executable} {script} {{tree}} '{out}'"


def test_a_command_gets_a_complete_tree_and_what_came_of_it_is_read_back(desk):
    out = desk.directory / "a bucket"
    with desk.serving(out.parent) as url:
        done = desk.publish("--command", copies(desk, out), "--url", f"{url}a%20bucket/")
    assert done["proof"] == "sha256, read over HTTP"
    assert done["wrong"] == []
    assert hidden(out) == []
    assert {file["path"]: file["sha256"] for file in done["files"]} == tree(out)
    whole(out)


def test_missing_and_damaged_files_are_all_found(desk):
    out = desk.directory / "bucket"
    fault = "\n".join(
        [
            f"(out / '{desk.wheel('lab')}').unlink()",
            f"(out / '{desk.wheel('other')}.metadata').write_bytes(b'x')",
            "(out / 'ot2-py310/simple/other/index.json').unlink()",
        ]
    )
    with desk.serving(desk.directory) as url:
        words = ("--command", copies(desk, out, fault=fault), "--url", f"{url}bucket/")
        wrong = desk.publish(*words, status=1)["wrong"]
        text = desk.run_cli("index", "publish", *words).out
        by_size = desk.publish(*words, "--verify", "size", status=1)["wrong"]
    lost = "ot2-py310/simple/other/index.json"
    assert [one["path"] for one in wrong] == [desk.wheel("lab"), f"{desk.wheel('other')}.metadata", lost]
    assert [one["path"] for one in by_size] == [one["path"] for one in wrong]
    for one in wrong:
        assert one["path"] in text


def test_what_a_program_gets_back_is_compared(desk):
    out = desk.directory / "bucket"
    get = f"{sys.executable} -c 'import shutil, sys; shutil.copytree(*sys.argv[1:], dirs_exist_ok=True)' {out} {{back}}"
    done = desk.publish("--command", copies(desk, out), "--read-back", get)
    assert done["proof"].startswith("sha256, got back by python")
    fault = f"(out / '{desk.wheel('lab')}').unlink()"
    wrong = desk.publish("--command", copies(desk, out, fault=fault), "--read-back", get, status=1)["wrong"]
    assert wrong == [{"path": desk.wheel("lab"), "why": "missing"}]


def test_every_file_that_a_page_lacks_is_named(desk):
    out = desk.directory / "bucket"
    desk.add("lab", "2.0")
    desk.build()
    fault = "(out / 'ot2-py310/simple/lab/index.html').write_text('<!DOCTYPE html><html></html>')"
    with desk.serving(desk.directory) as url:
        command = copies(desk, out, fault=fault)
        wrong = desk.publish("--command", command, "--url", f"{url}bucket/", status=1)["wrong"]
    assert {one["why"] for one in wrong if one["path"] == "ot2-py310/simple/lab/"} == {
        f"the page does not name lab-{version}-py3-none-any.whl" for version in ("1.0", "2.0")
    }


def test_without_a_url_nothing_was_verified_and_that_is_said(desk):
    command = copies(desk, desk.directory / "bucket")
    ran = desk.run_cli("index", "publish", "--command", command)
    assert ran.status == 1
    assert "Nothing was verified" in ran.out
    assert desk.publish("--command", command, "--no-verify")["proof"] is None


def test_a_failed_command_is_an_error_with_what_it_said(desk):
    failed = desk.publish("--command", f"{sys.executable} -c 'import sys; sys.exit(\"no bucket\")' {{tree}}", status=1)
    assert failed["code"] == "tool"
    assert "no bucket" in failed["details"]


def test_files_are_handed_over_side_by_side_with_the_tag_of_the_build(desk, monkeypatch):
    monkeypatch.setenv("GITHUB_SHA", "0123456789abcdef0123456789abcdef01234567")
    said = desk.directory / "said.json"
    script = "import json, sys, os; there = sorted(map(os.path.exists, sys.argv[3:]))\n"
    script += f"json.dump([*sys.argv[1:], there], open({str(said)!r}, 'w'))\n"
    (desk.directory / "say.py").write_text(script)
    command = f"{sys.executable} {desk.directory}/say.py {{tag}} 'Package Build {{tag}} {{name}}' {{files}}"
    done = desk.publish("--command", command, "--no-verify")
    tag, title, *files, there = json.loads(said.read_text())
    assert done["tag"] == tag
    assert title == f"Package Build {tag} opentrons-packages-0123456789abcdef0123456789abcdef01234567"
    assert set(there) == {True}
    assert {Path(file).name for file in files} == {file["path"] for file in done["files"]}
    assert {"lab-1.0-py3-none-any.whl", "other-1.0-py3-none-any.whl", "SHA256SUMS"} < {Path(one).name for one in files}
    done = desk.publish("--command", command, "--no-verify", "--tag", "v1")
    assert (done["tag"], json.loads(said.read_text())[0]) == ("v1", "v1")


def test_without_a_commit_the_tag_is_asked_for(desk, monkeypatch):
    monkeypatch.delenv("GITHUB_SHA", raising=False)
    monkeypatch.delenv("CI_COMMIT_SHA", raising=False)
    assert "--tag" in desk.publish("--command", "true {tag} {files}", "--no-verify", status=2)["next"]
