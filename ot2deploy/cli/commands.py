"""The table of commands: what each one is for, so that help needs none of their imports."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A top-level command: its section in the help and one line of it.

    The click command itself is `command` in the module `ot2deploy.cli.<name>`.
    """

    name: str
    section: str
    help: str

    @property
    def module(self) -> str:
        """The module that has the command."""
        return f"ot2deploy.cli.{self.name}"


DAILY = {
    "init": "Start a project: inventory.yaml, ot2deploy.yaml and environments/.",
    "push": "Install an environment on robots, verify it there, and switch to it.",
    "bundle": "Write an environment's wheels for one or more profiles into one file.",
    "verify": "Run an environment's checks on robots, now.",
    "rollback": "Make the previous release of an environment current again.",
    "remove": "Remove an environment from robots.",
    "status": "Show what is on which robot; changes nothing.",
    "history": "Show what was done to the robots: by whom, from where, with what result.",
    "report": "Write one page about a run: the fleet, a timeline, every failure with its output.",
    "exec": "Run a program of an environment on robots.",
    "doctor": "Look over this machine: what is missing, and the fix.",
}
MORE = {
    "robot": "The robots of the inventory: enrolling, importing, finding and checking them, and what is on them.",
    "env": "The environments that can be pushed: list, show; and as copies on this computer: local.",
    "lock": "Resolve a target into its lock, or say that the lock is good.",
    "wheel": "Wheels for robots: build, missing, audit, show, qualify.",
    "recipe": "How projects are built: list, check, new, pin.",
    "index": "A package index of wheels for robots, which pip, uv and ot2deploy read: one branch for each profile.",
    "token": "Who may read from an index's server or upload to it: create, list, revoke.",
    "toolchain": "What wheels are built with: show, prepare.",
    "store": "Wheels that this machine keeps: path, verify, gc.",
    "sim": "Simulated robots: plan, up, status, busy, idle, stop, restart, reset, update, down.",
    "completion": "Print the script that completes our command lines.",
}

SECTIONS = {"Daily": DAILY, "More": MORE}
BY_NAME = {
    name: Entry(name=name, section=section, help=text)
    for section, rows in SECTIONS.items()
    for name, text in rows.items()
}
