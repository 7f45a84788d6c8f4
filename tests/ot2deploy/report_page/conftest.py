"""Run records as a push leaves them, written by hand: eight robots, each with another end."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from report_records import OUTCOMES, RUN, row


@pytest.fixture
def recorded(tmp_path: Path) -> Callable[..., Path]:
    """A function that writes a record: its lines after the first one, and what differs in that."""

    def write(*lines: dict[str, Any] | str, run: str = RUN, **start: Any) -> Path:
        path = tmp_path / ".ot2deploy" / "runs" / f"{run}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "environments").mkdir(exist_ok=True)  # by which a directory is a project
        first = {"event": "start", "schema": 1, "command": "push", "who": "ada@bench", "target": "prefect", **start}
        said = [
            one if isinstance(one, str) else json.dumps({"at": f"2026-01-05T10:22:{11 + at:02}Z", "run": run, **one})
            for at, one in enumerate([first, *lines])
        ]
        path.write_text("\n".join(said) + "\n")
        return path

    return write


@pytest.fixture
def fleet_record(recorded: Callable[..., Path]) -> Path:
    """A push to eight robots, and before it one of another environment."""
    earlier = {"event": "robot", "outcome": "pushed", "plan": {"environment": "helpers", "digest": "ab" * 32}}
    recorded(*({**earlier, "robot": name} for name in ("otto", "wario")), run="20260104T090000Z-0001", target="helpers")
    rows = [row(robot, outcome, late=at * 0.2) for at, (robot, outcome) in enumerate(OUTCOMES.items())]
    return recorded({"event": "wave", "robots": ["otto"]}, {"event": "wave", "robots": ["luigi", "yoshi"]}, *rows)
