"""The boundary: exit codes, the JSON document, errors in three parts, no traceback without -v, cheap help."""

import json
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest

from builder.errors import BuildFailure
from ot2deploy.cli import cli
from ot2deploy.cli.commands import BY_NAME, SECTIONS, Entry
from ot2deploy.cli.group import DefaultGroup
from ot2deploy.cli.lazy import LazyGroup

ROOT = Path(__file__).resolve().parents[3]
ENVELOPE = {"schema", "command", "ok", "exit_code", "result", "error"}


def leaves():
    """Every command that can be run, with its words."""

    def below(words, command):
        if isinstance(command, DefaultGroup):
            yield " ".join(words), command.default
        if isinstance(command, click.Group):
            for name in command.commands:
                yield from below((*words, name), command.commands[name])
        else:
            yield " ".join(words), command

    for name in BY_NAME:
        yield from below((name,), cli.get_command(click.Context(cli), name))


LEAVES = dict(leaves())


@pytest.fixture
def broken(monkeypatch):
    """Makes `ot2deploy init` raise what it is given."""

    def install(error):
        def fail(directory):
            raise error

        monkeypatch.setattr("ot2deploy.init.init", fail)

    return install


@pytest.mark.parametrize("words", LEAVES)
def test_every_command_speaks_json_and_explains_itself(words):
    options = {option for parameter in LEAVES[words].params for option in parameter.opts}
    assert {"--json", "--verbose"} <= options
    assert LEAVES[words].help
    for parameter in LEAVES[words].params:
        if isinstance(parameter, click.Option):
            assert parameter.help, f"{words} {parameter.opts[0]} has no help"


@pytest.mark.parametrize("words", LEAVES)
def test_every_command_answers_a_wrong_line_with_one_json_document(run_cli, words):
    ran = run_cli(*words.split(), "--no-such-option", "--json")
    assert ran.status == 2
    assert set(ran.document) == ENVELOPE
    assert ran.document["command"] == words
    assert ran.document["error"]["code"] == "usage"
    assert "--no-such-option" in ran.document["error"]["what"]


@pytest.mark.parametrize("name", BY_NAME)
def test_the_table_says_what_the_command_says(name):
    command = cli.get_command(click.Context(cli), name)
    assert command.name == name
    assert command.help.split("\n")[0] == BY_NAME[name].help


def test_a_traceback_steers_no_terminal(run_cli, broken):
    broken(ValueError("evil\x1b[2J\u202e"))
    ran = run_cli("init", "-v")
    assert "Traceback" in ran.err
    assert "evil?[2J?" in ran.err
    assert "\x1b" not in ran.err


def test_what_may_use_a_network_can_be_told_not_to():
    for words in ("push", "bundle", "lock"):
        assert any("--offline" in parameter.opts for parameter in LEAVES[words].params), words


def test_help_shows_every_section_and_command(run_cli):
    out = run_cli("--help").good().out
    for section, names in SECTIONS.items():
        assert f"{section}:" in out
        for name in names:
            assert f"  {name} " in out


def test_help_imports_no_library_but_click():
    code = (
        "import sys\n"
        "try:\n    from ot2deploy.cli import main; main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'rich', 'requests', 'fabric', 'paramiko', 'pydantic', 'ruamel', 'packaging', 'docker', 'elftools'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.stderr.strip() == "[]"


def test_a_wrong_command_is_answered_with_the_nearest_one(run_cli):
    ran = run_cli("psuh")
    assert ran.status == 2
    assert ran.err.splitlines() == ["there is no command psuh", "  Did you mean push?", "  Run: ot2deploy --help"]
    ran = run_cli("psuh", "--json")
    assert (ran.status, ran.document["error"]["why"]) == (2, "Did you mean push?")


def test_no_arguments_show_the_help_and_fail(run_cli):
    ran = run_cli()
    assert ran.status == 2
    assert "Daily:" in ran.out


def test_version(run_cli):
    assert run_cli("--version").good().out.startswith("ot2deploy, version ")


def test_a_failure_is_shown_in_its_three_parts(run_cli, broken):
    broken(BuildFailure("it broke", why="Because.", next="Mend it.", subject="otto"))
    ran = run_cli("init")
    assert (ran.status, ran.out) == (1, "")
    assert ran.err.splitlines() == ["otto: it broke", "  Because.", "  Mend it."]


def test_a_failure_as_json(run_cli, broken):
    broken(BuildFailure("it broke", why="Because.", next="Mend it.", subject="otto", details=("one",)))
    ran = run_cli("init", "--json")
    assert ran.status == 1
    assert ran.document == {
        "schema": 1, "command": "init", "ok": False, "exit_code": 1, "result": None,
        "error": {
            "code": "build", "subject": "otto", "what": "it broke", "why": "Because.", "next": "Mend it.",
            "details": ["one"],
        },
    }  # fmt: skip


def test_a_bug_is_one_line_and_a_traceback_only_when_asked_for(run_cli, broken):
    broken(ZeroDivisionError("division by zero"))
    ran = run_cli("init")
    assert ran.status == 1
    assert ran.err.splitlines() == [
        "this is a bug in ot2deploy: ZeroDivisionError: division by zero",
        "  Run again with -v for the traceback.",
    ]
    assert "Traceback" in run_cli("init", "-v").err


@pytest.mark.parametrize("words", [("verify", "two words"), ("rollback", "."), ("exec", "-e", "../up", "--", "true")])
def test_what_can_be_no_environment_is_refused_before_robots_are_asked(run_cli, words):
    ran = run_cli(*words)
    assert ran.status == 2
    assert "is no name of an environment" in ran.err


def test_letters_that_the_output_does_not_know_are_no_bug(tmp_path):
    (tmp_path / "inventory.yaml").write_text("schema: 1\nrobots:\n  a: {address: b\u00f6se.invalid}\n", "utf-8")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "ascii"}
    for words, shown in ((("robot", "list"), "b\\xf6se"), (("robot", "list", "--json"), "b\\u00f6se")):
        done = subprocess.run(
            [sys.executable, "-m", "ot2deploy", *words], cwd=tmp_path, env=environment, capture_output=True, timeout=60,
            text=True,
        )  # fmt: skip
        assert (done.returncode, done.stderr) == (0, "")
        assert shown in done.stdout


def test_an_interrupt_ends_with_130(run_cli, broken):
    broken(KeyboardInterrupt())
    ran = run_cli("init")
    assert (ran.status, ran.err.strip()) == (130, "interrupted")


def test_a_reader_that_goes_away_is_no_error(tmp_path):
    command = f"'{sys.executable}' -m ot2deploy completion bash; echo $? >&2"
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        ["sh", "-c", command], cwd=tmp_path, stdout=writing, stderr=subprocess.PIPE, text=True, timeout=60,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    os.close(writing)
    assert done.stderr.strip() == "141"


def test_the_program_is_the_same_as_the_function(run_program):
    ran = run_program("env", "list", "--json").good()
    assert json.loads(ran.out)["command"] == "env list"


def test_an_entry_without_a_click_command_is_named():
    group = LazyGroup(
        entries={"units": Entry(name="units", section="x", help="y")}, sections=("x",), name="t", help="t"
    )  # a module of the command line that is no command
    with pytest.raises(AttributeError, match="command"):
        group.get_command(click.Context(group), "units")


@pytest.mark.parametrize("group", ["robot", "index", "wheel", "sim"])
def test_help_of_a_group_has_whole_sentences(run_cli, group):
    assert "..." not in run_cli(group, "--help").good().out.partition("Commands:")[2]
