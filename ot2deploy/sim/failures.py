"""What can go wrong with simulated robots.

builder.errors.Failure
+-- SimFailure                  a simulated robot could not be made, started or ended (exit 1)
|   +-- ImageFailure            the robot image cannot be made here
|   +-- EmulationFailure        this host does not run ARM programs
+-- UsageFailure
    +-- LabFileFailure          the lab file is not ours to write
    +-- NotSimulated            a robot of that name is not up
"""

from __future__ import annotations

from builder.errors import Failure, UsageFailure


class SimFailure(Failure):
    """A simulated robot could not be made, started or ended."""

    code = "sim"


class ImageFailure(SimFailure):
    """The robot image cannot be made on this host."""

    code = "sim-image"


class EmulationFailure(SimFailure):
    """This host does not run programs for ARM."""

    code = "sim-emulation"


class LabFileFailure(UsageFailure):
    """The lab file was written or changed by somebody else; we do not touch it."""

    code = "sim-lab-file"


class NotSimulated(UsageFailure):
    """No simulated robot of that name is up."""

    code = "sim-no-such-robot"
