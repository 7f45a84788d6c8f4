"""`ot2deploy report`, and `push --report`: from a real push to a page, and never over another file."""

from __future__ import annotations

import re
import signal

CHECK = "- import: plates"


def words(page):
    """What a reader sees of a page, without its markup."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page.read_text().partition("</style>")[2]))


def test_a_push_to_two_robots_becomes_a_page(workplace_of):
    place = workplace_of(2)
    place.environment("plates", place.wheel("plates"), checks=CHECK)
    place.lab.stop("r2")
    rows = place.push("plates", status=3)
    told = place.run_cli("report", "--last").good().out
    (page,) = place.directory.glob("ot2deploy-*.html")
    assert told.startswith(f"{page.name}: push plates on 2 robots, run ")
    text, digest = words(page), rows["r1"]["plan"]["digest"][:12]
    assert "Push plates 1 of 2 robots as wanted, 1 failed." in text
    assert f"r1 pushed {digest}" in text
    assert "r2 failed no release" in text
    assert f"r2: {rows['r2']['error']['what']}" in text
    assert page.read_text().count('class="bar stage-install"') == 1 + 1  # of r1, and in the legend


def test_the_page_of_an_older_run_and_json(workplace):
    workplace.environment("plates", workplace.wheel("plates"), checks=CHECK)
    first = workplace.run("push", "plates")["run"]
    workplace.run("verify", "plates")
    done = workplace.run_cli("report", first, "-o", "first.html", "--json").good()
    assert done.document["result"] == {"run": first, "report": "first.html"}
    assert "Push plates 1 robot as wanted." in words(workplace.directory / "first.html")
    workplace.run_cli("report", "--last", "-o", "last.html").good()
    assert "Verify plates 1 robot as wanted." in words(workplace.directory / "last.html")


def test_a_report_is_written_again_but_never_over_something_else(fleet_record, run_cli, tmp_path):
    for _ in range(2):
        run_cli("report", "--last", "-o", "out.html").good()
    (tmp_path / "notes.html").write_text("my notes")
    refused = run_cli("report", "--last", "-o", "notes.html")
    assert refused.status == 2
    assert "notes.html is there already, and is no report of ot2deploy" in refused.err
    assert (tmp_path / "notes.html").read_text() == "my notes"
    nowhere = run_cli("report", "--last", "-o", "no/such/out.html")
    assert nowhere.status == 2
    assert "mkdir -p no/such" in nowhere.err
    assert sorted(path.name for path in tmp_path.glob("*.html")) == ["notes.html", "out.html"]


def test_which_run_must_be_said(run_cli):
    assert "which run?" in run_cli("report").err
    assert "exclude each other" in run_cli("report", "20260101", "--last").err
    nothing = run_cli("report", "--last")
    assert nothing.status == 2
    assert "no run is recorded here" in nothing.err


def test_a_push_writes_its_own_page(workplace):
    workplace.environment("plates", workplace.wheel("plates"), checks=CHECK)
    page = workplace.directory / "out.html"
    told = workplace.run_cli("push", "plates", "--robots", workplace.lab.path, "--report", page).good().out
    assert f"report: {page}" in told
    assert "Push plates 1 robot as wanted." in words(page)
    for ended_otherwise in ("still going on", "Somebody stopped it", "Its record has no end"):
        assert ended_otherwise not in words(page)
    run = workplace.push("plates", "--report", page)
    assert run["outcome"] == "no change"
    assert "no change" in words(page)


def test_a_push_that_is_gone_on_with_counts_its_robots_and_writes_its_page(workplace_of):
    place = workplace_of(2)
    place.environment("plates", place.wheel("plates"), checks=CHECK)
    place.lab.stop("r2")
    place.push("plates", status=3)
    place.lab.start("r2")
    done = place.run_cli("push", "--resume", "last", "--report", "out.html").good()
    assert "push, plates to 2 robots" in done.err.splitlines()
    assert ", 2 of 2" in done.err
    assert "report: out.html" in done.out
    assert "Push plates 2 robots as wanted." in words(place.directory / "out.html")


def test_a_page_that_could_not_be_written_is_said_before_a_robot_is_touched(workplace):
    workplace.environment("plates", workplace.wheel("plates"), checks=CHECK)
    notes = workplace.directory / "notes.html"
    notes.write_text("mine")
    for path in ("notes.html", "no/such.html"):
        workplace.run("push", "plates", "--report", path, status=2)
    workplace.run("push", "plates", "--report", "out.html", "--dry-run", status=2)
    assert workplace.lab.log() == []
    assert notes.read_text() == "mine"


def test_a_page_that_cannot_be_written_afterwards_leaves_the_result_as_it_is(workplace):
    page = workplace.directory / "out.html"
    # While the push runs, somebody puts a file of his own there.
    program = f"import pathlib; pathlib.Path({str(page)!r}).write_text('mine')\n"
    workplace.environment("plates", workplace.wheel("plates"), program=program)
    done = workplace.run_cli("push", "plates", "--robots", workplace.lab.path, "--report", page)
    assert done.status == 0, done.err
    assert "no report: " in done.out
    assert "To try again: ot2deploy report 2" in done.out
    assert page.read_text() == "mine"


def test_an_interrupted_push_has_its_page(workplace):
    workplace.environment("plates", workplace.wheel("plates"), program="import time; time.sleep(300)\n")
    program = workplace.start_push("plates", "--report", "out.html", until="r1: verify")
    program.send_signal(signal.SIGINT)
    assert any(line.startswith("warning: stopping") for line in program.stderr)
    program.send_signal(signal.SIGINT)
    assert program.wait(timeout=60) == 130, program.stderr.read()
    text = words(workplace.directory / "out.html")
    assert "Somebody stopped it before it had ended." in text
    assert "r1 cut off" in text
