"""Simulated robots without a key, and a project for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ot2deploy.enroll import discover
from ot2deploy.project import Project
from ot2deploy.sim import lab
from ot2deploy.sim.lab import Request
from ot2deploy.sim.state import SimRobot


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """A project whose simulated robots go with the test."""
    (tmp_path / "environments").mkdir()
    project = Project.find(tmp_path)
    yield project
    lab.down(project)


@pytest.fixture
def robots(project: Project) -> Callable[..., list[SimRobot]]:
    """A function that brings up simulated robots, `count` altogether."""

    def up(count: int = 1, *, no_key: bool = True) -> list[SimRobot]:
        return [shown.robot for shown in lab.up(project, Request(count=count, kind="embedded", no_key=no_key)).robots]

    return up


@pytest.fixture
def nothing_near(monkeypatch: pytest.MonkeyPatch) -> None:
    """This computer's own network is not asked."""
    monkeypatch.setattr(discover, "by_mdns", lambda seconds: ((), ""))
    monkeypatch.setattr(discover, "neighbours", tuple)
