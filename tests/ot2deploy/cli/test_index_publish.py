"""`ot2deploy index publish` to a directory, and read back over HTTP."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from publish_desk import Desk, filled, hidden, tree, whole

from builder.files import sha256_file


@pytest.fixture
def desk(tmp_path, run_cli) -> Desk:
    return filled(tmp_path, run_cli)


def test_a_directory_gets_the_whole_tree_and_nothing_private_and_the_same_again_is_no_change(desk):
    out = desk.directory / "www" / "wheels"
    done = desk.publish(out)
    assert done["proof"] == "sha256"
    assert done["wheels"] == 2
    assert set(done["sent"]) == {file["path"] for file in done["files"]} == set(tree(out))
    assert {file["path"]: file["sha256"] for file in done["files"]} == tree(out)
    assert hidden(out) == []
    whole(out)
    sums = dict(reversed(line.split("  ")) for line in (out / "SHA256SUMS").read_text().splitlines())
    assert sums == {path: sha256 for path, sha256 in tree(out).items() if path != "SHA256SUMS"}
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    again = desk.publish(out)
    assert (again["changed"], again["sent"], again["proof"]) == (False, [], "sha256")
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == before
    assert "no change" in desk.run_cli("index", "publish", out).good().out


def test_a_dry_run_says_what_would_be_sent_and_sends_nothing(desk):
    out = desk.directory / "www"
    done = desk.publish(out, "--dry-run")
    assert desk.wheel("lab") in done["sent"]
    assert not out.exists()
    assert f"would send {desk.wheel('lab')}" in desk.run_cli("index", "publish", out, "--dry-run").good().out


def test_only_what_is_new_is_sent(desk):
    out = desk.directory / "www"
    desk.publish(out)
    desk.add("third")
    desk.build()
    sent = desk.publish(out)["sent"]
    assert [path for path in sent if path.endswith(".whl")] == [desk.wheel("third")]
    assert not any("/lab/" in path for path in sent)
    whole(out)


@pytest.mark.parametrize("damage", ["changed", "gone"])
def test_a_page_that_is_damaged_there_is_mended(desk, damage):
    out = desk.directory / "www"
    desk.publish(out)
    page = out / "ot2-py310" / "simple" / "lab" / "index.html"
    page.write_text("defaced") if damage == "changed" else page.unlink()
    assert desk.publish(out)["sent"] == ["ot2-py310/simple/lab/index.html"]
    whole(out)


def test_other_bytes_under_a_wheels_name_are_replaced_only_when_asked_for(desk):
    out = desk.directory / "www"
    desk.publish(out)
    (out / desk.wheel("lab")).write_bytes(b"something else")
    refused = desk.publish(out, status=1)
    assert refused["code"] == "publish-refused"
    assert refused["details"] == [desk.wheel("lab")]
    assert "revision" in refused["next"]
    assert desk.publish(out, "--replace")["sent"] == [desk.wheel("lab")]
    whole(out)


def test_what_the_index_no_longer_has_goes_only_with_delete_and_what_is_not_an_indexs_never(desk):
    out = desk.directory / "www"
    for name, text in (("notes.txt", "mine"), ("ot2-py310/files/README", "mine"), ("ot2-py312/files/a.whl", "mine")):
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_text(text)
    desk.publish(out)
    (desk.directory / "dist" / "ot2-py310" / "other-1.0-py3-none-any.whl").unlink()
    desk.build("--replace")
    gone = {desk.wheel("other"), f"{desk.wheel('other')}.metadata"}
    gone |= {
        f"{branch}/simple/other/{page}" for branch in ("ot2-py310", "own") for page in ("index.html", "index.json")
    }
    kept = desk.publish(out)
    assert set(kept["stale"]) == gone
    assert kept["removed"] is False
    assert gone < set(tree(out))
    assert set(desk.publish(out, "--delete", "--dry-run")["stale"]) == gone < set(tree(out))
    assert set(desk.publish(out, "--delete")["stale"]) == gone
    assert gone.isdisjoint(tree(out))
    assert {"notes.txt", "ot2-py310/files/README", "ot2-py312/files/a.whl"} < set(tree(out))
    assert not (out / "ot2-py310" / "simple" / "other").exists()
    whole(out)


def test_a_web_servers_own_front_page_is_not_replaced(desk):
    out = desk.directory / "www"
    out.mkdir()
    (out / "index.html").write_text("our lab")
    assert desk.publish(out, status=1)["code"] == "publish-refused"
    assert tree(out) == {"index.html": sha256_file(out / "index.html")}


def test_channels_that_come_one_by_one_share_a_place(desk, tmp_path):
    """As continuous integration does it: each run starts without an index, and knows its own channel alone."""
    out = desk.directory / "www"
    desk.publish(out)
    shutil.rmtree(desk.directory / "index")
    desk.add("fresh")
    desk.build("--channel", "dev")
    done = desk.publish(out)
    assert done["branches"] == ["ot2-py310/dev"]
    front = (out / "index.html").read_text()
    assert "ot2-py310/simple/" in front
    assert "ot2-py310/dev/simple/" in front
    assert (out / "ot2-py310" / "simple" / "lab" / "index.html").is_file()
    whole(out)


def test_a_channel_that_is_gone_leaves_the_first_page_with_delete(desk):
    out = desk.directory / "www"
    desk.build("--channel", "dev")
    desk.publish(out)
    desk.run_cli("index", "drop", "dev").good()
    assert "ot2-py310/dev" in (out / "index.html").read_text()
    desk.publish(out, "--delete")
    assert "ot2-py310/dev" not in (out / "index.html").read_text()
    assert not (out / "ot2-py310" / "dev").exists()
    assert desk.publish(out, "--delete")["changed"] is False


def test_one_channel_alone_can_be_published_and_takes_nothing_of_the_others_away(desk):
    out = desk.directory / "www"
    desk.build("--channel", "dev")
    desk.publish(out)
    again = desk.publish(out, "--channel", "dev", "--delete")
    assert again["stale"] == []
    alone = desk.directory / "alone"
    assert desk.publish(alone, "--channel", "dev")["branches"] == ["ot2-py310/dev"]
    assert not (alone / "ot2-py310" / "simple").exists()


def test_nothing_to_publish_is_never_a_silent_success(desk):
    out = desk.directory / "www"
    assert "ot2-py312" in desk.publish(out, "--profile", "ot2-py312", status=2)["what"]
    shutil.rmtree(desk.directory / "index")
    assert "no index" in desk.publish(out, status=2)["what"]
    shutil.rmtree(desk.directory / "dist")
    (desk.directory / "dist" / "ot2-py310").mkdir(parents=True)
    desk.run_cli("index", "build")
    assert desk.publish(out, status=2)["what"]
    assert not out.exists()


def test_the_index_itself_is_no_target(desk):
    before = tree(desk.directory / "index")
    for target in ("index", "index/inside", "."):
        assert "the index itself" in desk.publish(desk.directory / target, status=2)["what"]
    assert tree(desk.directory / "index") == before


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "one place"),
        (["out", "--command", "true"], "one place"),
        (["s3://bucket/wheels"], "--command"),
        (["ssh://me:secret@host/x"], "password"),
        (["rsync://me:secret@host/x"], "password"),
        (["ssh://me:secret@host:port/x"], "is no URL"),
        (["--", "-oProxyCommand=x:/tmp"], "no directory of a computer"),
        (["--command", "true {files} {trea}"], "{trea}"),
        (["--command", "true x{files}"], "word of its own"),
        (["--command", "true 'x"], "split"),
        (["out", "--flat"], "--flat"),
        (["out", "--read-back", "true {back}"], "--read-back"),
        (["--command", "true {tree}", "--read-back", "true {files}"], "{files}"),
        (["out", "--url", "http://me:secret@host/"], "netrc"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_done(desk, words, said):
    ran = desk.run_cli("index", "publish", *words)
    assert ran.status == 2
    assert said in ran.err
    assert "secret" not in ran.err
    assert not (desk.directory / "out").exists()


def test_a_killed_publisher_leaves_no_page_without_its_wheels_and_is_gone_on_with(desk):
    for number in range(8):
        desk.add(f"big{number}", size=2 << 20)
    desk.build()
    out = desk.directory / "www"
    program = subprocess.Popen(
        [sys.executable, "-m", "ot2deploy", "index", "publish", str(out)],
        cwd=desk.directory, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
    )  # fmt: skip
    while program.poll() is None and not any(out.rglob("*.part")):
        time.sleep(0.001)
    program.kill()
    program.wait()
    whole(out)
    desk.publish(out)
    whole(out)
    for part in out.rglob("*.part"):
        os.utime(part, (0, 0))
    desk.add("late")
    desk.build()
    desk.publish(out)
    assert list((out / "ot2-py310" / "files").glob(".*.part")) == []


def test_a_journal_line_says_what_was_sent_where(desk):
    out = desk.directory / "www"
    desk.publish(out)
    desk.publish(out)
    lines = (desk.directory / ".ot2deploy" / "index" / "journal.jsonl").read_text().splitlines()
    (line,) = [line for line in map(json.loads, lines) if line["op"] == "publish"]
    assert line["branches"] == ["ot2-py310"]
    assert line["files"] == {path.name: sha256_file(path) for path in out.rglob("*.whl")}
    assert str(out) in line["detail"]


def test_what_was_published_is_read_back_as_pip_reads_it(desk):
    out = desk.directory / "www"
    with desk.serving(desk.directory) as url:
        assert desk.publish(out, "--url", f"{url}www/")["proof"] == "sha256, then sha256, read over HTTP"
        sized = desk.publish(out, "--url", f"{url}www", "--verify", "size")
        assert sized["proof"] == "sha256, then size, read over HTTP"
        wrong = desk.publish(out, "--url", f"{url}elsewhere/", status=1)["wrong"]
    assert [(one["path"], "answered 404" in one["why"]) for one in wrong] == [(f"{url}elsewhere/", True)]


def test_a_wrong_address_is_told_once_and_as_that(desk):
    out = desk.directory / "www"
    with desk.serving(desk.directory) as url:
        told = desk.run_cli("index", "publish", out, "--url", f"{url}elsewhere/")
    assert (told.status, told.out.count("404")) == (1, 1)
    assert "Look at --url" in told.out
    assert "Run the same command again" not in told.out


def test_a_directory_of_other_things_is_not_filled_unless_it_is_meant(desk):
    source = desk.directory / "tools"
    source.mkdir()
    (source / "robot.py").write_text("mine")
    refused = desk.publish(source, status=1)
    assert (refused["code"], refused["why"]) == ("publish-refused", "It has robot.py.")
    assert "--beside" in refused["next"]
    assert list(tree(source)) == ["robot.py"]
    desk.publish(source, "--beside")
    assert desk.publish(source)["changed"] is False
    assert (source / "robot.py").read_text() == "mine"


def test_a_place_is_told_without_detours(desk):
    place = desk.publish(desk.directory / "index" / ".." / "www")["place"]
    assert place == str(desk.directory / "www")
    told = desk.run_cli("index", "export", desk.directory / "index" / ".." / "stick").good().out
    assert (desk.directory / "stick").as_uri() in told
    assert "wheels for the program true:" in desk.run_cli("index", "publish", "--command", "true {tree}").out
