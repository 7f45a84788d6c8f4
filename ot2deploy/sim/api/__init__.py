"""The robot's HTTP API, as much of it as a deployer asks. Standard library only."""

from ot2deploy.sim.api.parts import Api
from ot2deploy.sim.api.server import Server

__all__ = ["Api", "Server"]
