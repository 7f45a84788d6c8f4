"""Lines of run records for tests of the report: what becomes of a robot, in every way."""

from __future__ import annotations

from typing import Any

RUN = "20260105T102211Z-7f3a"
NEW, OLD = "0123456789abcdef" * 4, "fedcba9876543210" * 4
BEGAN = 1_767_608_531.0
OUTCOMES = {
    "otto": "pushed", "luigi": "pushed", "mario": "no change", "peach": "failed", "toad": "staged",
    "bowser": "rolled back", "yoshi": "switched", "daisy": "not tried",
}  # fmt: skip


def row(
    robot: str, outcome: str, *, late: float = 0.0, text: str = "libGL.so.1 is not on this robot"
) -> dict[str, Any]:
    """A robot's line of a record."""
    begun, spans = BEGAN + late, []
    for stage, lasts in (("probe", 0.4), ("bundle", 2.0), ("send", 6.0), ("install", 20.0), ("switch", 0.3)):
        spans.append([stage, begun, begun + lasts])
        begun += lasts
    checks = [{"name": "import plates", "ok": True, "why": "", "output": ""}]
    error = None
    if outcome in ("failed", "rolled back"):
        checks.append(
            {"name": "import cv2", "ok": False, "why": f"exit status 1: {text}", "output": f"Traceback\n{text}"}
        )
        code = "check-failed" if outcome == "failed" else "rolled-back"
        error = {"code": code, "subject": robot, "what": text, "why": text, "next": text, "details": [text]}
    plan = {
        "robot": robot, "profile": "ot2-py310", "environment": "prefect", "digest": NEW, "action": "install",
        "current": OLD if robot != "otto" else None, "reasons": ["another release is current"],
    }  # fmt: skip
    return {
        "event": "robot", "robot": robot, "outcome": outcome, "plan": plan, "method": "pip", "sent": 90, "reused": 6,
        "bytes_sent": 47_100_000, "note": "busy: run 12 is running" if outcome == "staged" else "", "checks": checks,
        "error": error, "spans": spans, "seconds": {stage: ended - began for stage, began, ended in spans},
    }  # fmt: skip
