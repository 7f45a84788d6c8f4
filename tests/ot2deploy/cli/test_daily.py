"""The daily commands from end to end, on an embedded robot: bundle, push, verify, status, exec, rollback, lock."""

import json

import pytest

from ot2deploy.bundles import is_bundle_file

pytestmark = [pytest.mark.network, pytest.mark.xdist_group("daily")]

FIRST = '"""Counts plates."""\n\n\ndef count(plates):\n    return len(plates)\n'
SECOND = FIRST.replace("len(plates)", "len(list(plates))")


@pytest.fixture
def lab(embedded_lab, shared_cache):
    """One robot."""
    return embedded_lab(1)


@pytest.fixture
def told(run_cli, lab):
    """Runs a command with --json on the lab and returns its result; `status` is the exit status it must have."""

    def run(*words, status=0):
        extra = [] if words[0] in ("bundle", "lock") else ["--robots", lab.path]
        ran = run_cli(words[0], *extra, "--json", *words[1:])
        assert ran.status == status, ran.out + ran.err
        return ran.document["result"] if status == 0 else ran.document

    return run


def test_a_life_of_an_environment(told, run_cli, lab, tmp_path):
    tool = tmp_path / "plate_tools.py"
    tool.write_text(FIRST)
    assert told("lock", "./plate_tools.py")["packages"][0]["name"] == "plate-tools"
    written = told("bundle", "./plate_tools.py", "--profile", "host", "-o", "tools.ot2bundle")
    assert is_bundle_file(written["path"])
    first = written["manifests"][0]["digest"]

    (plan,) = told("push", "tools.ot2bundle", "--dry-run")["robots"]
    assert (plan["outcome"], plan["plan"]["action"]) == ("planned", "install")
    assert not lab.root("r1").joinpath("var/ot2deploy/envs").exists(), "a dry run changed the robot"
    (done,) = told("push", "tools.ot2bundle")["robots"]
    assert (done["outcome"], done["sent"], done["plan"]["digest"]) == ("pushed", 1, first)

    (again,) = told("push", "tools.ot2bundle")["robots"]
    assert again["outcome"] == "no change"
    name = written["manifests"][0]["environment"]
    (checked,) = told("verify", name)["robots"]
    assert [check["ok"] for check in checked["result"]["checks"]] == [True]

    tool.write_text(SECOND)
    (changed,) = told("push", "./plate_tools.py", "--install-method", "pip")["robots"]
    assert changed["outcome"] == "pushed"
    second = changed["plan"]["digest"]
    assert second != first
    (state,) = told("status")["robots"]
    assert state["result"]["environments"][name]["current"] == second

    program = (
        "-e",
        name,
        "--",
        "python3",
        "-c",
        "import plate_tools, sys; print(plate_tools.count(sys.argv[1]))",
        "a b;c",
    )
    (ran,) = told("exec", *program)["robots"]
    assert (ran["result"], ran["stdout"]) == (0, "5\n")

    (back,) = told("rollback", name)["robots"]
    assert back["result"]["current"] == first
    text = run_cli("status", "--robots", lab.path).good().out
    assert first[:12] in text


def test_the_exit_status_of_a_program_is_ours(told, run_cli, lab, tmp_path):
    (tmp_path / "tool.py").write_text(FIRST)
    told("push", "./tool.py")
    words = ("exec", "--robots", lab.path, "-e", "tool", "--", "python3", "-c")
    assert run_cli(*words, "raise SystemExit(7)").status == 7
    assert run_cli(*words, "import sys; sys.exit(len(sys.stdin.read()))", input=b"12345").status == 5
    unread = run_cli(*words, "print(1)", input=b"x" * 20_000_000)
    assert (unread.status, unread.err) == (0, "")


def test_an_environment_that_is_not_there(run_cli, lab):
    for words in (("verify", "nothing"), ("rollback", "nothing")):
        ran = run_cli(*words, "--robots", lab.path)
        assert ran.status == 1
        assert "r1: " in ran.out
        assert "Traceback" not in ran.out + ran.err


def test_some_robots_that_do_not_answer_are_a_partial_success(run_cli, embedded_lab, shared_cache):
    lab = embedded_lab(2)
    lab.stop("r2")
    ran = run_cli("status", "--robots", lab.path, "--json")
    assert ran.status == 3
    rows = {row["robot"]: row for row in json.loads(ran.out)["result"]["robots"]}
    assert rows["r1"]["ok"]
    assert rows["r2"]["error"]["code"] == "unreachable"
    assert "r2     no answer" in run_cli("status", "--robots", lab.path).out


def test_an_unknown_target_is_no_push(run_cli, lab):
    ran = run_cli("push", "prefct", "--robots", lab.path)
    assert ran.status == 2
    assert "Did you mean prefect?" in ran.err
