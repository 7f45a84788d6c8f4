"""What README and docs show can be done: every command parses, is run by a named test, and scenarios run for real.

A fenced block in `sh` or `console` holds commands (in `console` the lines that begin with `$ `). A block whose first
line is `# scenario` is run from top to bottom in an empty directory, with embedded robots. Commands of ours between
backticks in the text must parse, too.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import click
import pytest

from builder.errors import Failure
from ot2deploy.cli import cli
from ot2deploy.cli.commands import BY_NAME

ROOT = Path(__file__).resolve().parent.parent
FENCE = re.compile(r"^```(sh|console)[^\n]*\n(.*?)^```", re.M | re.S)
INLINE = re.compile(r"`(ot2deploy [^`\n]+)`")
MADE = ("reference.md",)  # made from the parser, which proves it in scripts/check

# Command (its first words) -> the test that runs it. Longer entries win.
RUN_BY = {
    "ot2deploy init": "tests/ot2deploy/cli/test_init.py",
    "ot2deploy doctor": "tests/ot2deploy/test_doctor.py",
    "ot2deploy env local": "tests/ot2deploy/cli/test_env_local.py",
    "ot2deploy env": "tests/ot2deploy/cli/test_lookups.py",
    "ot2deploy recipe": "tests/ot2deploy/cli/test_recipe_commands.py",
    "ot2deploy store": "tests/ot2deploy/cli/test_lookups.py",
    "ot2deploy store gc": "tests/ot2deploy/cli/test_store_gc.py",
    "ot2deploy completion": "tests/ot2deploy/cli/test_lookups.py",
    "ot2deploy wheel audit": "tests/ot2deploy/cli/test_lookups.py",
    "ot2deploy wheel qualify": "tests/ot2deploy/cli/test_qualify.py",
    "ot2deploy wheel show": "tests/ot2deploy/cli/test_wheel_show.py",
    "ot2deploy wheel build": "tests/ot2deploy/cli/test_wheel_build.py",
    "ot2deploy wheel missing": "tests/ot2deploy/cli/test_wheel_missing.py",
    "ot2deploy remove": "tests/ot2deploy/cli/test_removal.py",
    "ot2deploy robot packages": "tests/ot2deploy/cli/test_robot_packages.py",
    "ot2deploy robot logs": "tests/ot2deploy/cli/test_robot_logs.py",
    "ot2deploy robot freeze": "tests/ot2deploy/cli/test_robot_packages.py",
    "ot2deploy robot purge": "tests/ot2deploy/cli/test_removal.py",
    "ot2deploy robot unlock": "tests/ot2deploy/cli/test_removal.py",
    "ot2deploy robot clean": "tests/ot2deploy/cli/test_robot_clean.py",
    "ot2deploy robot": "tests/ot2deploy/cli/test_robot.py",
    "ot2deploy robot check": "tests/ot2deploy/cli/test_robot_find.py",
    "ot2deploy robot find": "tests/ot2deploy/cli/test_robot_find.py",
    "ot2deploy robot identify": "tests/ot2deploy/cli/test_robot_find.py",
    "ot2deploy robot enroll": "tests/ot2deploy/cli/test_robot_enroll.py",
    "ot2deploy robot enroll --key": "tests/ot2deploy/cli/test_robot_keys.py",
    "ot2deploy robot discover": "tests/ot2deploy/cli/test_robot_enroll.py",
    "ot2deploy robot keys": "tests/ot2deploy/cli/test_robot_keys.py",
    "ot2deploy robot import": "tests/ot2deploy/test_inventory_import.py",
    "ot2deploy robot schema": "tests/ot2deploy/test_inventory_schema.py",
    "ot2deploy toolchain": "tests/ot2deploy/cli/test_toolchain.py",
    "ot2deploy index build": "tests/ot2deploy/cli/test_index_build.py",
    "ot2deploy index export": "tests/ot2deploy/cli/test_index_export.py",
    "pip download": "tests/ot2deploy/cli/test_index_export.py",
    "ot2deploy index list": "tests/ot2deploy/cli/test_index_list.py",
    "ot2deploy index serve": "tests/ot2deploy/cli/test_index_serve.py",
    "ot2deploy index promote": "tests/ot2deploy/cli/test_index_channels.py",
    "ot2deploy index drop": "tests/ot2deploy/cli/test_index_channels.py",
    "ot2deploy index yank": "tests/ot2deploy/cli/test_index_channels.py",
    "ot2deploy index log": "tests/ot2deploy/cli/test_index_channels.py",
    "ot2deploy index gc": "tests/ot2deploy/cli/test_index_gc.py",
    "ot2deploy index pip-config": "tests/ot2deploy/cli/test_index_config.py",
    "ot2deploy index publish": "tests/ot2deploy/cli/test_index_publish.py",
    "ot2deploy index workflow": "tests/ot2deploy/cli/test_index_workflow.py",
    "ot2deploy index upload": "tests/ot2deploy/cli/test_index_upload.py",
    "ot2deploy token": "tests/ot2deploy/cli/test_token.py",
    "ot2deploy lock": "tests/ot2deploy/cli/test_daily.py",
    "ot2deploy bundle": "tests/ot2deploy/cli/test_daily.py",
    "ot2deploy bundle sign": "tests/ot2deploy/cli/test_bundle_sign.py",
    "ot2deploy bundle verify": "tests/ot2deploy/cli/test_bundle_sign.py",
    "ot2deploy push": "tests/ot2deploy/cli/test_daily.py",
    "ot2deploy verify": "tests/ot2deploy/cli/test_daily.py",
    "ot2deploy rollback": "tests/ot2deploy/cli/test_daily.py",
    "ot2deploy history": "tests/ot2deploy/cli/test_history.py",
    "ot2deploy report": "tests/ot2deploy/report_page/test_report.py",
    "ot2deploy status": "tests/ot2deploy/cli/test_daily.py",
    "ot2deploy status --drift": "tests/ot2deploy/test_drift.py",
    "ot2deploy exec": "tests/ot2deploy/cli/test_daily.py",
    "ot2deploy sim": "tests/test_installed.py",
    "ot2deploy --help": "tests/ot2deploy/cli/test_boundary.py",
    "ot2deploy --version": "tests/ot2deploy/cli/test_boundary.py",
}
# What is not ours, or cannot be run in a test, and why.
NOT_RUN = {
    "scripts/demo": "it sets up a machine and takes minutes; scripts/bench times it",
    "scripts/test": "it is what runs this",
    "scripts/check": "continuous integration runs it beside this",
    "scripts/bench": "it measures for minutes",
    "scripts/setup": "scripts/test has just run it",
    "scripts/reference": "scripts/check runs it",
    "uv tool install": "tests/test_installed.py installs the same wheel with pip",
    "pipx install": "tests/test_installed.py installs the same wheel with pip",
    "pip install": "tests/test_installed.py does so",
    "git clone": "it needs this repository's public address",
    "cd": "a step between directories",
    "echo": "a line that a person writes into a file; scenarios run it",
    "$EDITOR": "what a person writes",
    "python3 -m venv": "tests/arm/test_index_arm.py does so on a robot",
    "python3 -m pip": "tests/arm/test_index_arm.py does so on a robot",
    "twine upload": "tests/builder/index/test_index_uploads.py does so",
    "uv publish": "tests/builder/index/test_index_uploads.py does so",
    "export": "a step of a shell",
    "ssh-keygen": "a program of OpenSSH",
    "ssh": "a program of OpenSSH",
    "apt-get": "changes the machine",
    "rustup": "changes the machine",
}


@dataclass(frozen=True, kw_only=True)
class Shown:
    """A command of a page."""

    where: str
    line: str

    @property
    def words(self) -> list[str]:
        return shlex.split(self.line, comments=True)


def pages() -> list[Path]:
    return [ROOT / "README.md", *(page for page in sorted((ROOT / "docs").glob("*.md")) if page.name not in MADE)]


def blocks() -> list[tuple[str, str, str]]:
    """Every fenced block as (page:line, language, text)."""
    found = []
    for page in pages():
        text = page.read_text(encoding="utf-8") if page.exists() else ""
        for match in FENCE.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            found.append((f"{page.relative_to(ROOT)}:{line}", match[1], match[2]))
    return found


def commands(language: str, text: str) -> list[str]:
    """The commands of a block: one for each line, or for each part of a line between ; and &&."""
    lines = text.replace("\\\n", " ").splitlines()
    if language == "console":
        lines = [line[2:] for line in lines if line.startswith("$ ")]
    joined = [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
    return [part.strip() for line in joined for part in re.split(r"\s;\s|\s&&\s", line)]


def inline() -> list[Shown]:
    """The commands of ours that stand in the text."""
    found = []
    for page in pages():
        text = FENCE.sub("", page.read_text(encoding="utf-8")) if page.exists() else ""
        found += [Shown(where=str(page.relative_to(ROOT)), line=line) for line in INLINE.findall(text)]
    return found


SHOWN = [Shown(where=where, line=line) for where, language, text in blocks() for line in commands(language, text)]
SCENARIOS = [(where, text) for where, language, text in blocks() if language == "sh" and text.startswith("# scenario")]


def parse(words: list[str]) -> None:
    """Parses a command line of ours to its last word without running it. Raises what the parser raises."""
    context, command, rest = click.Context(cli, info_name="ot2deploy"), cli, words[1:]
    while isinstance(command, click.Group):
        if rest[:1] in (["--help"], ["--version"]):
            return
        name, found, rest = command.resolve_command(context, rest)
        assert found is not None, f"no command {name}"
        context, command = click.Context(found, info_name=name, parent=context), found
    if "--help" not in rest:
        command.make_context(command.name, list(rest), parent=context.parent, resilient_parsing=False)


@pytest.mark.parametrize(
    "shown", [s for s in SHOWN if s.words[:1] == ["ot2deploy"]], ids=lambda s: f"{s.where} {s.line}"
)
def test_a_shown_command_parses(shown, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for word in shown.words:  # files that a command line names are there when a reader types it
        if word.endswith((".whl", "build.py", "requirements.txt")):
            (tmp_path / word).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / word).touch()
    try:
        parse(shown.words)
    except (click.ClickException, Failure) as error:
        pytest.fail(f"{shown.where}: `{shown.line}` does not parse: {error}")


@pytest.mark.parametrize("shown", SHOWN, ids=lambda s: f"{s.where} {s.line}")
def test_a_shown_command_is_run_by_a_test_or_says_why_not(shown):
    said = " ".join(shown.words)
    known = [start for start in (*RUN_BY, *NOT_RUN) if f"{said} ".startswith(f"{start} ")]
    assert known, f"{shown.where}: `{shown.line}` is run by no test: add one to RUN_BY, or a reason to NOT_RUN"


@pytest.mark.parametrize("name", sorted(set(RUN_BY.values())))
def test_the_tests_named_here_are_there(name):
    assert (ROOT / name).is_file(), f"{name} is gone"


def test_every_command_of_ours_is_run_by_a_test():
    missing = [name for name in BY_NAME if not any(f"{start} ".startswith(f"ot2deploy {name} ") for start in RUN_BY)]
    assert not missing


def test_commands_are_found_in_blocks():
    assert commands("sh", "# note\na 1 \\\n  2 ; b\n\nc # x\n") == ["a 1    2", "b", "c # x"]
    assert commands("console", "$ a\nanswer\n$ b && c\n") == ["a", "b", "c"]


def test_a_wrong_line_does_not_parse():
    with pytest.raises(click.ClickException):
        parse(["ot2deploy", "push", "--no-such-option", "prefect"])


@pytest.mark.slow
@pytest.mark.network
@pytest.mark.parametrize(("where", "text"), SCENARIOS, ids=[where for where, _ in SCENARIOS])
def test_a_scenario_runs(where, text, tmp_path, shared_cache):
    """As a shell reads it, to its first failure; whatever happens, its robots end with it."""
    program = Path(sys.executable).with_name("ot2deploy")
    assert program.exists() or shutil.which("ot2deploy"), "ot2deploy is not installed beside this Python"
    try:
        done = subprocess.run(
            ["sh", "-e", "-x", "-c", text], cwd=tmp_path, capture_output=True, text=True, timeout=900,
            stdin=subprocess.DEVNULL, env={**os.environ, "PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}"},
        )  # fmt: skip
        assert done.returncode == 0, f"{where} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
    finally:
        subprocess.run([program, "sim", "down"], cwd=tmp_path, capture_output=True, timeout=120, check=False)


def test_the_example_fleet_can_be_read():
    from ot2deploy import inventory

    assert len(inventory.load(ROOT / "inventory.yaml").robots) == 3
