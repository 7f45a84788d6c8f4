"""Simulated robots, so that nobody needs a robot to try or test this."""

from __future__ import annotations

from ot2deploy.sim.results import Shown, SimResult
from ot2deploy.sim.state import Place, SimRobot, SimState

__all__ = ["Place", "Shown", "SimResult", "SimRobot", "SimState"]
