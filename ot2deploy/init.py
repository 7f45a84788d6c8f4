"""Starts a project directory: what is missing is written, what is there stays as it is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from builder.errors import UsageFailure
from builder.files import write_bytes

INVENTORY = """\
# The robots. Every command reads this file unless --robots names another one.
schema: 1

# Plug in a robot by USB; this puts your key on it and writes it down here:
#   ot2deploy robot enroll
# where your key is on it already, add it and pin its host key once, looking at the fingerprint it shows:
#   ot2deploy robot add otto 192.168.1.20
#   ot2deploy robot trust otto
# or write it here by hand:
#
# robots:
#   otto:                         # any name you like; it is used in tables and with --limit
#     address: 192.168.1.20       # or otto.local
#     groups: [lab-a]
#   luigi:
#     address: 192.168.1.21
#     groups: [lab-a]
#     identity_file: ~/.ssh/ot2   # default: your ssh agent and ~/.ssh/config

robots: {}
"""

SETTINGS = """\
# What holds for this whole project. Everything in it is optional.
schema: 1

# Your lab's own package indexes, asked before the public one, for every environment and command here. In the place of
# {profile} stands the robots' profile. How to have one: ot2deploy index --help
#
# indexes:
#   - name: lab
#     url: http://index.example/{profile}/simple/
"""

ENVIRONMENTS = """\
# Environments

One directory for each: `environments/<name>/environment.yaml`. `ot2deploy env list` shows these and the shipped ones;
an environment here comes before a shipped one of the same name. A first one:

```yaml
# environments/plate-tools/environment.yaml
requirements:
  - numpy==1.26.4
checks:
  quick:
    - import: numpy
```

`ot2deploy lock plate-tools` resolves it, `ot2deploy push plate-tools --dry-run` shows what would be done.

Other keys: `constraints`, `as_of` (a date: nothing uploaded later is taken), `python`, `checks` (`quick`, `live`,
`deep`; each one an `import:`, a `run:` with `expect:`, or a `program:`, with a `timeout:`), `variables`,
`system_packages`, `install_method`, `indexes`. All of them are explained in docs/environments.md of ot2deploy.
"""

IGNORED = (
    "# ot2deploy: its state, locks with URLs, bundles, simulated robots",
    ".ot2deploy/",
    "pylock.*.toml",
    "*.ot2bundle",
    "/lab.yaml",
)

Did = Literal["written", "added to", "no change"]


@dataclass(frozen=True, kw_only=True)
class Step:
    """One file of the project and what was done to it."""

    path: Path
    did: Did


@dataclass(frozen=True, kw_only=True)
class InitResult:
    """The project's directory and its files."""

    directory: Path
    steps: tuple[Step, ...]

    exit_code = 0

    @property
    def changed(self) -> bool:
        """Whether anything was written."""
        return any(step.did != "no change" for step in self.steps)

    @property
    def next_steps(self) -> tuple[str, ...]:
        """The commands to try next, each with its reason."""
        here = "" if self.directory == Path.cwd() else f"cd {self.directory}"
        return tuple(
            filter(
                None,
                (
                    here,
                    "ot2deploy doctor                                 # is this machine ready?",
                    "ot2deploy sim up --count 2                       # two simulated robots, written to lab.yaml",
                    "ot2deploy push prefect --robots lab.yaml         # install Prefect on them",
                    "ot2deploy robot enroll                           # a real one by USB, into inventory.yaml",
                ),
            )
        )

    def as_dict(self) -> dict[str, Any]:
        """The result as JSON."""
        return {
            "directory": str(self.directory),
            "changed": self.changed,
            "files": [{"path": str(step.path), "did": step.did} for step in self.steps],
            "next": list(self.next_steps),
        }


def init(directory: Path) -> InitResult:
    """Makes `directory` a project: inventory.yaml, ot2deploy.yaml, environments/ and lines in .gitignore.

    Never overwrites a file. Raises UsageFailure where the directory cannot be written.
    """
    directory = directory.absolute()
    try:
        steps = (
            _write(directory / "inventory.yaml", INVENTORY),
            _write(directory / "ot2deploy.yaml", SETTINGS),
            _write(directory / "environments" / "README.md", ENVIRONMENTS),
            _ignore(directory / ".gitignore"),
        )
    except OSError as error:
        raise UsageFailure(
            f"cannot write into {directory}: {error.strerror or error}",
            next="Choose another directory: ot2deploy init DIR",
        ) from error
    return InitResult(directory=directory, steps=steps)


def _write(path: Path, text: str) -> Step:
    if path.exists():
        return Step(path=path, did="no change")
    write_bytes(path, text.encode())
    return Step(path=path, did="written")


def _ignore(path: Path) -> Step:
    old = path.read_text(encoding="utf-8") if path.exists() else ""
    missing = [line for line in IGNORED if line not in old.splitlines()]
    if not missing:
        return Step(path=path, did="no change")
    joint = "" if not old or old.endswith("\n") else "\n"
    write_bytes(path, (old + joint + "\n".join(missing) + "\n").encode())
    return Step(path=path, did="added to" if old else "written")
