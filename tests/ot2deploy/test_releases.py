"""Releases in use: verified again, run, rolled out as trees."""

from __future__ import annotations

import json
import marshal
import re
import subprocess
from pathlib import Path

import pytest

CHECK = "- import: plates"
ECHO = "import json, os, sys; json.dump([sys.argv[1:], sys.stdin.read(), os.environ.get('VIRTUAL_ENV')], sys.stdout)"
NASTY = (
    "a b",
    "'single'",
    '"double"',
    "semi;colon",
    "$(touch x)",
    "`id`",
    "new\nline",
    "tab\t",
    "*",
    "~",
    "ü🤖",
    "",
    "\\",
)


@pytest.fixture
def ready(workplace):
    """A workplace whose robot has `plates`; `digest` is its release."""
    workplace.environment("plates", workplace.wheel("plates"), checks=CHECK, more="variables: {PLATES: many}")
    workplace.digest = workplace.push("plates")["plan"]["digest"]
    return workplace


def called(workplace, *words, input=b""):
    """Runs `exec -e plates -- python3 -c words...` as a user would."""
    at = ("exec", "--robots", workplace.lab.path, "-e", "plates", "--", "python3", "-c")
    return workplace.run_cli(*at, *words, input=input)


def test_verify_always_runs_the_checks_and_tells_what_they_found(ready):
    mark = ready.lab.root("r1") / "var" / "data" / "count"
    program = f"open({str(mark)!r}, 'a').write('x')"
    ready.environment("plates", ready.wheel("plates"), program=program, more="variables: {PLATES: many}")
    ready.push("plates")
    for number in (2, 3):
        (row,) = ready.run("verify", "plates")["robots"]
        assert mark.read_text() == "x" * number
    assert (row["ok"], row["result"]["release"]) == (True, ready.digest)
    assert ready.push("plates")["outcome"] == "no change"
    assert mark.read_text() == "xxx"


def test_verify_deep_runs_both_depths(ready):
    deep = "checks:\n  quick: [{import: plates}]\n  deep: [{run: [python3, -c, 'print(6 * 7)'], expect: '42'}]"
    ready.environment("plates", ready.wheel("plates"), ready.wheel("racks"), more=deep)
    ready.push("plates")
    for words, kinds in (((), ["import"]), (("--deep",), ["import", "run"])):
        (row,) = ready.run("verify", "plates", *words)["robots"]
        assert [check["kind"] for check in row["result"]["checks"]] == kinds
    proof = json.loads((ready.lab.base() / "envs/plates/current/verified.json").read_text())
    assert (len(proof["results"]), len(proof["deep"]["results"])) == (1, 1)


def test_a_release_that_broke_is_found_and_trusted_no_more(ready):
    site = next((ready.lab.base() / "envs/plates/current/lib").glob("*/site-packages"))
    for path in (site / "plates.py", *site.glob("__pycache__/plates.*")):
        path.unlink()
    (row,) = ready.run("verify", "plates", status=1)["robots"]
    assert row["error"]["code"] == "check-failed"
    assert "No module named 'plates'" in row["error"]["what"]
    assert [check["ok"] for check in row["result"]["checks"]] == [False]
    shown = ready.run_cli("verify", "plates", "--robots", ready.lab.path)
    assert "failed" in shown.out
    assert f"ot2deploy rollback plates --limit r1 --robots {ready.lab.path}" in " ".join(shown.out.split())
    assert ready.push("plates", "--dry-run")["plan"]["action"] == "verify again"


def test_a_module_of_the_system_that_stands_for_the_releases_own_fails_and_both_paths_are_named(workplace):
    system = next((workplace.lab.root("r1") / "usr/lib").glob("python3*/site-packages"))
    (system / "shadow.py").write_text("VALUE = 'the system'\n")
    hidden = "import sys; sys.path.insert(0, '%s')\n" % system
    files = {"files": {"shadow.py": b"VALUE = 'ours'\n", "aaa.pth": hidden.encode()}}
    workplace.environment(
        "plates", workplace.wheel("plates", **files), checks="- import: shadow", more="system_packages: true"
    )
    row = workplace.push("plates", status=1)
    release = workplace.lab.base() / "envs/plates/releases" / row["plan"]["digest"]
    assert str(system / "shadow.py") in row["error"]["what"]
    assert f"has it at {release}" in row["error"]["what"]
    assert workplace.lab.current("plates") is None


def test_a_module_that_only_the_system_has_fails_too(workplace):
    system = next((workplace.lab.root("r1") / "usr/lib").glob("python3*/site-packages"))
    (system / "only_there.py").write_text("")
    workplace.environment(
        "plates", workplace.wheel("plates"), checks="- import: only_there", more="system_packages: true"
    )
    row = workplace.push("plates", status=1)
    assert str(system / "only_there.py") in row["error"]["what"]
    assert "does not have it at" in row["error"]["what"]


def test_words_and_input_reach_a_program_as_they_are(ready):
    ran = called(ready, ECHO, *NASTY, input="first\nsecond ü\n".encode()).good()
    words, text, prefix = json.loads(ran.out)
    assert tuple(words) == NASTY
    assert text == "first\nsecond ü\n"
    assert prefix.endswith(ready.digest), "the release itself, not the link that may be switched meanwhile"
    assert called(ready, "import os; print(os.environ['PLATES'])").good().out == "many\n"


def test_status_and_streams_of_a_program_are_its_own(ready):
    ran = called(ready, "import sys; print('out'); print('err', file=sys.stderr); sys.exit(9)")
    assert (ran.status, ran.out, ran.err) == (9, "out\n", "err\n")
    (row,) = ready.run("exec", "-e", "plates", "--", "python3", "-c", "print('x')")["robots"]
    assert (row["result"], row["stdout"], row["stderr"]) == (0, "x\n", "")
    missing = ready.run_cli("exec", "--robots", ready.lab.path, "-e", "plates", "--", "no-such-program")
    assert missing.status == 127
    assert "no-such-program" in missing.err
    missing = ready.run_cli("exec", "--robots", ready.lab.path, "-e", "racks", "--", "python3")
    assert missing.status == 127
    assert "environment racks is not installed" in missing.err


def test_several_robots_say_who_they_are(workplace_of):
    workplace = workplace_of(2)
    workplace.environment("plates", workplace.wheel("plates"), checks=CHECK)
    workplace.push("plates")
    ran = called(workplace, "import sys; print('one'); print('two', end=''); sys.exit('r2' in sys.prefix)", input=b"x")
    assert sorted(line for line in ran.out.splitlines() if " | " in line) == [
        "r1 | one", "r1 | two", "r2 | one", "r2 | two",
    ]  # fmt: skip
    assert ran.status == 3
    assert "r2: exit status 1" in ran.out


def test_an_open_input_does_not_keep_a_program_that_has_ended(ready):
    program = ready.start("exec", "-e", "plates", "--", "python3", "-c", "print('done')")
    out, err = program.stdout.read(), program.stderr.read()
    assert program.wait(timeout=30) == 0
    assert (out, err) == ("done\n", "")


def test_a_reader_that_goes_away_ends_the_program(ready):
    program = ready.start("exec", "-e", "plates", "--", "python3", "-c", "while True: print('x' * 1000)")
    program.stdout.read(10)
    program.stdout.close()
    assert program.wait(timeout=30) == 141
    assert program.stderr.read() == ""


def test_a_connection_that_breaks_is_one_error(ready):
    program = ready.start(
        "exec", "-e", "plates", "--", "python3", "-c", "import time; print('up', flush=True); time.sleep(60)"
    )
    assert program.stdout.readline() == "up\n"
    ready.lab.stop("r1")
    assert program.wait(timeout=30) == 1
    out = program.stdout.read() + program.stderr.read()
    assert "r1: " in out
    assert "Traceback" not in out


def contents(release: Path) -> dict[str, tuple[int, object]]:
    """Mode and content of every file of a release, without what the two methods may do differently."""
    found = {}
    for path in release.rglob("*"):
        name = path.relative_to(release).as_posix()
        if path.is_symlink() or not path.is_file() or "/" not in name:
            continue
        data: object = path.read_bytes()
        if name.endswith("/RECORD"):
            data = sorted(row for row in path.read_text().splitlines() if "bin/" not in row)
        elif name.startswith("bin/"):
            data = re.sub(rb"\A.*?(?=\n(#|import|from))", b"", path.read_bytes(), flags=re.S)
        elif name.endswith(".pyc"):
            data = marshal.loads(path.read_bytes()[16:])
        found[name] = (path.stat().st_mode, data)
    return found


def pip(workplace, *words):
    """What the robot's pip says inside the current release."""
    system = next((workplace.lab.root("r1") / "usr/lib").glob("python3*/site-packages"))
    code = f"import runpy, sys; sys.path.append({str(system)!r}); runpy.run_module('pip', run_name='__main__')"
    return called(workplace, code, *words).good().out


@pytest.mark.network
@pytest.mark.parametrize("asked", ["command", "robot", "environment"])
def test_trees_make_the_same_release_and_only_packs_are_sent(workplace, shared_cache, asked):
    script = {"plates-1.0.dist-info/entry_points.txt": b"[console_scripts]\nplates = plates:main\n"}
    text = "def main():\n    print('plates run')\n"
    wheels = [workplace.wheel("plates", text=text, files=script), workplace.wheel("racks")]
    workplace.environment("plates", *wheels, checks="- run: [plates]\n  expect: plates run")
    words = ()
    if asked == "command":
        words = ("--install-method", "tree")
        by_pip = workplace.push("plates")
        release = workplace.lab.base() / "envs/plates/releases" / by_pip["plan"]["digest"]
        expected, listed = contents(release), pip(workplace, "list")
        for path in (workplace.lab.base() / "wheels", workplace.lab.base() / "envs"):
            subprocess.run(["rm", "-r", str(path)], check=True, timeout=60)
    elif asked == "robot":
        workplace.lab.write(r1={"install_method": "tree"})
    else:
        workplace.environment("plates", *wheels, checks=CHECK, more="install_method: tree")
    row = workplace.push("plates", *words)
    assert (row["outcome"], row["method"], row["sent"]) == ("pushed", "tree", 2)
    assert "compile" not in row["seconds"]
    base = workplace.lab.base()
    assert len(list((base / "packs").iterdir())) == 2
    assert not (base / "wheels").exists()
    if asked == "command":
        found = contents(release)
        assert sorted(found) == sorted(expected)
        assert found == expected
        assert pip(workplace, "list") == listed
        assert "No broken requirements" in pip(workplace, "check")
        ran = workplace.run_cli("exec", "--robots", workplace.lab.path, "-e", "plates", "--", "plates").good()
        assert ran.out == "plates run\n"
