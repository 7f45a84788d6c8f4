"""Where what was pushed can be imported: programs, protocols, Jupyter; pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Importable:
    """An environment as it is after a push. `kernel` is whether the push offered it to Jupyter.

    `restarted` is whether all the robots were restarted since, notebooks' kernels and all. `bases` are their base
    directories, `options` what a command needs to be about these robots.
    """

    environment: str
    shared: bool = False
    kernel: bool = False
    restarted: bool = False
    bases: tuple[str, ...] = ("/var/ot2deploy",)
    options: str = ""

    @property
    def interpreter(self) -> str:
        """The path on the robots of the Python that imports it, whatever release is current."""
        if self.shared:
            return "/usr/bin/python3"
        base = self.bases[0] if len(set(self.bases)) == 1 else "BASE"
        return f"{base}/envs/{self.environment}/current/bin/python3"

    @property
    def jupyter(self) -> str:
        """Which kernel of the robots' Jupyter imports it: "every", its own one's name, or "none" of this push."""
        if self.shared:
            return "every"
        return f"{self.environment} (ot2deploy)" if self.kernel else "none"

    def as_dict(self) -> dict[str, Any]:
        """The places as JSON."""
        return {
            "programs": self.interpreter,
            "protocols": self.shared,
            "jupyter": self.jupyter,
            "restarted": self.restarted,
        }

    def lines(self) -> Iterator[str]:
        """Two or three lines for a person."""
        exec_ = f"ot2deploy exec -e {self.environment}{self.options} -- python3 ..."
        if self.shared:
            yield f"Importable by protocols, by every kernel of Jupyter, and by programs ({self.interpreter})."
            if not self.restarted:
                yield "The robot server and notebooks that run keep what they had imported: restart the robot in the "\
                    "Opentrons App, or push with --restart-server next time, and the notebooks' kernels."  # fmt: skip
            yield "The Opentrons App analyses with a Python of its computer: ot2deploy env local makes the same there."
            return
        yield f"Importable by programs: {exec_}   (on the robot {self.interpreter})."
        if self.kernel:
            yield f"In Jupyter choose the kernel {self.jupyter}; notebooks that run keep their release. Protocols: no."
        else:
            yield "Protocols: no (--shared is for them). Jupyter: by a kernel of its own (--kernel), or --shared."
