"""The workflow for continuous integration: what it says is checked, and what it says is done, but for the host's `gh`.

The host is played by `Host`: checkouts are clones, artifacts directories, and each `run` step is a real shell script
with the variables that the real host sets.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from quick_project import quick_files, quick_sdist
from ruamel.yaml import YAML
from wheel_factory import make_wheel

from builder.index.publish.ci import channel_of_ref

ROOT = Path(__file__).resolve().parents[3]
TAG = re.compile(r"build-\d{8}-\d{6}-(?P<sha>[0-9a-f]{7})")
HOSTS_OWN = re.compile(r"actions/(checkout|upload-artifact|download-artifact)@v\d+")
RECIPE = 'from builder import package_build\n\npackage_build.build_package(source=package_build.local_source("src"))\n'
# The code host's program: it keeps what it is given, unless it is told to lose a file.
GH = """
import json, os, pathlib, shutil, sys
place = pathlib.Path(os.environ["FAKE_GH"])
with (place / "calls.jsonl").open("a") as calls:
    print(json.dumps({"argv": sys.argv[1:], "token": os.environ.get("GH_TOKEN")}), file=calls)
_, what, tag, *rest = sys.argv
release = place / "releases" / rest[0] if what != "release" else place / "releases" / sys.argv[3]
if sys.argv[2] == "create":
    release.mkdir(parents=True)
    for name in (word for word in sys.argv[4:] if os.path.isfile(word)):
        if os.path.basename(name) != os.environ.get("FAKE_GH_LOSES"):
            shutil.copy(name, release)
else:
    shutil.copytree(release, sys.argv[sys.argv.index("--dir") + 1], dirs_exist_ok=True)
"""


@pytest.fixture
def text(run_cli) -> str:
    return run_cli("index", "workflow").good().out


@pytest.fixture
def flow(text) -> dict[str, Any]:
    return YAML(typ="safe").load(text)


def steps(flow: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for job in flow["jobs"].values():
        yield from job["steps"]


def test_it_starts_when_packages_change_and_for_tags_of_production(flow):
    push = flow["on"]["push"]  # YAML 1.2, as the host reads it: `on` is no truth value
    assert push["paths"] == ["package/**", "packages/**", "environments/**"]
    assert push["branches"] == ["**"]
    assert push["tags"] == ["packages@v*"]
    assert "workflow_dispatch" in flow["on"]
    assert "pull_request" not in flow["on"]  # a stranger's change is not built with this repository's rights


def test_it_may_only_read_but_for_the_release(flow):
    assert flow["permissions"] == {"contents": "read"}
    assert {name: job.get("permissions") for name, job in flow["jobs"].items()} == {
        "packages": None,
        "release": {"contents": "write"},
    }
    assert [step["with"]["persist-credentials"] for step in steps(flow) if "checkout" in step.get("uses", "")] == [
        False
    ] * 2


def test_its_actions_are_the_hosts_own_and_it_says_to_pin_them(flow, text):
    for step in steps(flow):
        assert "run" in step or HOSTS_OWN.fullmatch(step["uses"]), step
    assert "Pin them" in text.partition("\nname:")[0]


def test_its_shell_reads_values_from_variables_only(flow):
    """What is put into a script by ${{ }} would be read as shell: a branch's name may be a command."""
    for step in steps(flow):
        assert "${{" not in step.get("run", "")


def test_profiles_and_tests_are_as_asked_for(run_cli, flow):
    (built,) = [step["run"] for step in steps(flow) if "wheel build" in step.get("run", "")]
    assert built == "ot2deploy wheel build --all --profile ot2-py310 --test"
    words = ("--profile", "ot2-py312", "--profile", "debian-12-armhf", "--no-test")
    other = YAML(typ="safe").load(run_cli("index", "workflow", *words).good().out)
    (built,) = [step["run"] for step in steps(other) if "wheel build" in step.get("run", "")]
    assert built == "ot2deploy wheel build --all --profile ot2-py312 --profile debian-12-armhf"
    assert run_cli("index", "workflow", "--profile", "nonsense").status == 2


def test_it_is_written_where_no_other_file_is(run_cli, tmp_path, text):
    path = tmp_path / ".github" / "workflows" / "packages.yml"
    for changed in (True, False):
        assert run_cli("index", "workflow", "-o", path, "--json").good().document["result"]["changed"] is changed
        assert path.read_text() == text
    assert "no change" in run_cli("index", "workflow", "-o", path).good().out
    path.write_text("mine")
    assert run_cli("index", "workflow", "-o", path).status == 2
    assert path.read_text() == "mine"


def test_a_directorys_name_makes_no_file(run_cli, tmp_path):
    ran = run_cli("index", "workflow", "-o", "nodir/")
    assert (ran.status, "names a directory" in ran.err) == (2, True)
    assert not (tmp_path / "nodir").exists()


def test_what_it_installs_is_told(run_cli, tmp_path):
    assert "It installs ot2deploy[all]==" in run_cli("index", "workflow", "-o", "packages.yml").good().out


@dataclass(kw_only=True)
class Host:
    """A code host with one repository: runs the jobs of a workflow for what was pushed."""

    directory: Path
    flow: Mapping[str, Any]
    variables: Mapping[str, str]
    more: dict[str, str] = field(default_factory=dict)
    runs: int = 0
    sha: str = ""

    @property
    def repository(self) -> Path:
        return self.directory / "repository"

    @property
    def calls(self) -> list[Any]:
        """Every call of `gh` so far."""
        path = self.directory / "gh" / "calls.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def commit(self, ref: str) -> str:
        """Commits what is in the repository, as that ref; the commit."""
        git = ["git", "-c", "user.name=lab", "-c", "user.email=lab@lab.example", "-C", str(self.repository)]
        if not (self.repository / ".git").exists():
            subprocess.run([*git, "init", "-q"], check=True)
        subprocess.run([*git, "add", "-A"], check=True)
        subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", ref], check=True)
        return subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()

    def push(self, ref: str) -> dict[str, int]:
        """Runs the workflow for a push; the status of each job that was run."""
        self.runs, self.sha = self.runs + 1, self.commit(ref)
        contexts = {
            "github.sha": self.sha, "github.ref": ref, "github.token": "a-token",
            **{f"vars.{name}": value for name, value in self.variables.items()},
        }  # fmt: skip
        done: dict[str, int] = {}
        for name, job in self.flow["jobs"].items():
            if meant(job.get("if", "true"), contexts) and done.get(job.get("needs"), 0) == 0:
                done[name] = self.job(name, job, contexts)
        return done

    def job(self, name: str, job: Mapping[str, Any], contexts: Mapping[str, str]) -> int:
        temp = self.directory / f"run{self.runs}" / name
        (temp / "temp").mkdir(parents=True)
        contexts = {**contexts, "runner.temp": str(temp / "temp")}
        paths: list[str] = []
        for step in job["steps"]:
            if not meant(step.get("if", "true"), contexts):
                continue
            if "uses" in step:
                self.use(step["uses"].split("@")[0], filled(step.get("with", {}), contexts), temp / "work")
            elif status := self.shell(step, temp, contexts, paths):
                return status
        return 0

    def use(self, action: str, given: Mapping[str, Any], work: Path) -> None:
        if action == "actions/checkout":
            subprocess.run(["git", "clone", "-q", str(self.repository), str(work)], check=True)
            return
        artifact, path = self.directory / "artifacts" / given["name"], Path(given["path"])
        if action == "actions/upload-artifact":
            assert given["if-no-files-found"] == "error"
            assert given["retention-days"] == 30
            assert any(path.iterdir())
            shutil.copytree(path, artifact, ignore=shutil.ignore_patterns(".*"), dirs_exist_ok=True)
        else:
            shutil.copytree(artifact, path)

    def shell(self, step: Mapping[str, Any], temp: Path, contexts: Mapping[str, str], paths: list[str]) -> int:
        added = temp / "path"
        variables = {
            **os.environ, **filled(self.flow["env"], contexts), **filled(step.get("env", {}), contexts),
            "CI": "true", "GITHUB_SHA": contexts["github.sha"], "GITHUB_REF": contexts["github.ref"],
            "GITHUB_REF_NAME": contexts["github.ref"].split("/", 2)[2], "RUNNER_TEMP": contexts["runner.temp"],
            "GITHUB_PATH": str(added), "GITHUB_OUTPUT": str(temp / "output"),
            "PATH": os.pathsep.join([*paths, str(self.directory / "bin"), os.environ["PATH"]]), **self.more,
        }  # fmt: skip
        done = subprocess.run(
            ["bash", "-e", "-c", step["run"]], cwd=temp / "work", env=variables, check=False,
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        print(f"$ {step['run']}{done.stdout}{done.stderr}")
        paths[:] = added.read_text().splitlines()[::-1] if added.exists() else []
        return done.returncode


def meant(condition: str, contexts: Mapping[str, str]) -> bool:
    """Whether an `if` holds."""
    python = condition.replace("||", " or ").replace("startsWith(", "str.startswith(").replace("true", "True")
    python = re.sub(r"\b(github|vars)\.\w+", lambda match: repr(contexts.get(match[0], "")), python)
    return bool(eval(python, {"str": str, "__builtins__": {}}))


def filled(values: Mapping[str, Any], contexts: Mapping[str, str]) -> dict[str, Any]:
    """Values with the host's ${{ }} filled in."""

    def one(value: Any) -> Any:
        named = re.compile(r"\$\{\{ ([\w.]+) \}\}")
        return named.sub(lambda match: contexts.get(match[1], ""), value) if isinstance(value, str) else value

    return {name: one(value) for name, value in values.items()}


@pytest.fixture
def host(run_cli, tmp_path_factory) -> Host:
    """A host with a repository of one recipe and one environment; wheels are not emulated, which takes minutes."""
    if not shutil.which("bash"):
        pytest.skip("the host's shell is bash")
    directory = tmp_path_factory.mktemp("host")
    flow = YAML(typ="safe").load(run_cli("index", "workflow", "--no-test").good().out)
    flow["env"]["OT2DEPLOY"] = str(ourselves(directory))
    (directory / "gh").mkdir()
    (directory / "bin").mkdir()
    (directory / "gh.py").write_text(GH)
    for name, program in (("gh", f"{sys.executable} {directory}/gh.py"), ("python3", sys.executable)):
        (directory / "bin" / name).write_text(f'#!/bin/sh\nexec {program} "$@"\n')
        (directory / "bin" / name).chmod(0o755)
    made = Host(directory=directory, flow=flow, variables={"PACKAGES_TARGET": str(directory / "www")})
    recipe = made.repository / "packages" / "good" / "1.0"
    for path, content in quick_files("good", "1.0").items():
        (recipe / "src" / path).parent.mkdir(parents=True, exist_ok=True)
        (recipe / "src" / path).write_text(content)
    quick_sdist(recipe.parents[1], "tool")
    (recipe / "build.py").write_text(RECIPE)
    environment = made.repository / "environments" / "lab" / "environment.yaml"
    environment.parent.mkdir(parents=True)
    environment.write_text("requirements:\n  - ../../packages/tool-1.0.tar.gz\n")
    (directory / "nothing").mkdir()
    made.more = {
        "FAKE_GH": str(directory / "gh"), "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "UV_DEFAULT_INDEX": (directory / "nothing").as_uri(),
    }  # fmt: skip
    return made


def ourselves(directory: Path) -> Path:
    """A wheel that pip installs in an instant, whose program is this checkout's."""
    code = f"""
import os, sys
def main():
    variables = {{**os.environ, "PYTHONPATH": {str(ROOT)!r}}}
    os.execve({sys.executable!r}, [{sys.executable!r}, "-m", "ot2deploy", *sys.argv[1:]], variables)
"""
    points = b"[console_scripts]\not2deploy = ot2deploy_here:main\n"
    name = "ot2deploy_here-1.0-py3-none-any.whl"
    return make_wheel(directory, name, {"ot2deploy_here.py": code.encode()}, info={"entry_points.txt": points})


def listed(tree: Path) -> list[dict[str, Any]]:
    return json.loads((tree / "manifest.json").read_bytes())["files"]


@pytest.mark.slow
def test_a_push_builds_indexes_publishes_and_releases_every_wheel(host: Host, capsys: Any) -> None:
    ref = "refs/heads/main"
    assert host.push(ref) == {"packages": 0, "release": 0}, capsys.readouterr().out
    sha = host.sha
    artifact = host.directory / "artifacts" / f"opentrons-packages-{sha}"
    wheels = {file["filename"] for file in listed(artifact)}
    assert {name.partition("-")[0] for name in wheels} == {"good", "tool"}
    assert (artifact / "ot2-py310" / "staging" / "simple" / "good" / "index.html").is_file()
    assert not (artifact / "ot2-py310" / "simple").exists()
    assert (host.directory / "www" / "ot2-py310" / "staging" / "simple" / "tool" / "index.html").is_file()

    create, download = host.calls
    said = create["argv"]
    assert said[:2] == ["release", "create"]
    assert (found := TAG.fullmatch(said[2]))
    assert found["sha"] == sha[:7]
    assert said[said.index("--title") + 1] == f"Package Build {said[2]}"
    assert said[said.index("--target") + 1] == sha
    assert sha in said[said.index("--notes") + 1]
    assert create["token"] == "a-token"
    assert download["argv"][:3] == ["release", "download", said[2]]
    # What the manifest lists was handed over, file by file: a pattern that matches nothing released nothing, once.
    files = {Path(word).name for word in said if Path(word).is_absolute()}
    assert files == {*wheels, "SHA256SUMS", "manifest.json", "index.html"}
    released = host.directory / "gh" / "releases" / said[2]
    assert {file["filename"] for file in listed(released)} == wheels < {path.name for path in released.iterdir()}

    # A branch has a channel of its own, and no release; what it publishes stands beside the others.
    assert host.push("refs/heads/feature/x") == {"packages": 0}, capsys.readouterr().out
    channel = channel_of_ref("refs/heads/feature/x")
    assert (host.directory / "www" / "ot2-py310" / channel / "simple" / "good").is_dir()
    assert (host.directory / "www" / "ot2-py310" / "staging" / "simple" / "good").is_dir()
    assert len(host.calls) == 2

    # A tag goes to production; a file that the host lost is found, and fails the run.
    host.more["FAKE_GH_LOSES"] = next(iter(wheels))
    assert host.push("refs/tags/packages@v1") == {"packages": 0, "release": 1}, capsys.readouterr().out
    assert (host.directory / "www" / "ot2-py310" / "simple" / "good").is_dir()
    assert f"{next(iter(wheels))}: missing" in capsys.readouterr().out


def test_a_failed_build_publishes_nothing(host: Host) -> None:
    (host.repository / "packages" / "good" / "1.0" / "build.py").write_text("package_build.build_package(\n")
    assert host.push("refs/heads/main")["packages"] != 0
    assert host.calls == []
    assert not (host.directory / "www").exists()
