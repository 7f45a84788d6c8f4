"""The error tree is whole: unique codes, known exit codes, a docstring that draws it."""

import importlib
import pkgutil

import builder
import builder.errors
import ot2deploy
import ot2deploy.errors
from builder.errors import Failure


def every_failure():
    for package in (builder, ot2deploy):
        for found in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
            if not found.name.endswith("__main__"):
                importlib.import_module(found.name)
    waiting, seen = [Failure], []
    while waiting:
        kind = waiting.pop()
        if kind in seen:
            continue
        seen.append(kind)
        waiting += kind.__subclasses__()
    return seen


def test_codes_are_unique():
    codes = {}
    for kind in every_failure():
        if "code" not in vars(kind):  # to the outside it is what its parent is
            continue
        codes.setdefault(kind.code, []).append(f"{kind.__module__}.{kind.__name__}")
    assert {code: kinds for code, kinds in codes.items() if len(kinds) > 1} == {}


def test_exit_codes_are_the_documented_ones():
    assert {kind.exit_code for kind in every_failure()} <= {1, 2, 3, 4, 130}


def test_the_robot_branch_is_drawn_in_its_docstring():
    for name, kind in vars(ot2deploy.errors).items():
        if isinstance(kind, type) and kind.__module__ == "ot2deploy.errors":
            assert f"+-- {name} " in ot2deploy.errors.__doc__


def test_a_failure_reads_in_three_parts():
    failure = ot2deploy.errors.AuthRefused(
        "the robot refuses our key", subject="otto", why="It was reset.", next="Run this."
    )
    assert failure.lines() == ["otto: the robot refuses our key", "  It was reset.", "  Run this."]
    assert failure.as_dict()["code"] == "auth-refused"


def test_what_a_robot_printed_steers_no_terminal():
    failure = Failure("pip said \x1b[2J", details=("a\tb\x1b]0;owned\x07", "\x9b2J"), why="c\rd", subject="ot\x08to")
    assert failure.lines() == ["ot?to: pip said ?[2J", "  a\tb?]0;owned?", "  ?2J", "  c", "  d"]
