"""Runs the checks of a release through the agent, and says which failed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ot2deploy.agent_host.client import AgentSession
from ot2deploy.errors import CheckFailed

SHOWN = 12  # lines of a failed check's output


@dataclass(frozen=True, kw_only=True)
class Checked:
    """What the checks of a release gave, in their order."""

    environment: str
    digest: str
    results: tuple[dict[str, Any], ...]

    @property
    def failed(self) -> tuple[dict[str, Any], ...]:
        """The results that are not good."""
        return tuple(result for result in self.results if not result["ok"])

    def failure(self, robot: str, why: str, next: str = "") -> CheckFailed | None:
        """The failure that names the first failed check and shows the output of all of them, or None."""
        if not self.failed:
            return None
        first = self.failed[0]
        failure = CheckFailed(
            f"check `{first['name']}` failed: {first['why']}",
            subject=robot,
            why=f"{len(self.failed)} of {len(self.results)} checks of {self.environment} {self.digest[:12]} failed. "
            + why,
            next=next or f"Change {self.environment} or its checks after what stands above, and push again.",
            details=tuple(line for result in self.failed for line in _shown(result, result is first)),
        )
        failure.results = self.results
        return failure

    def raise_failed(self, robot: str, why: str, next: str = "") -> None:
        """Raises CheckFailed when a check failed."""
        failure = self.failure(robot, why, next)
        if failure is not None:
            raise failure


def run_checks(
    agent: AgentSession, environment: str, digest: str, checks: Sequence[Mapping[str, Any]] | None, fingerprint: str,
    *, depth: str = "quick",
) -> Checked:  # fmt: skip
    """Runs checks in a release: those given, or (None) the quick, deep or live ones that came with it.

    The agent keeps a good result with the release. Raises NotInstalled, CheckFailed when none could be run.
    """
    answer = agent.request(
        "verify", environment=environment, digest=digest, checks=checks, depth=depth, fingerprint=fingerprint
    )
    return Checked(environment=environment, digest=digest, results=tuple(answer["results"]))


def _shown(result: Mapping[str, Any], is_first: bool) -> Iterator[str]:
    if not is_first:
        yield f"check `{result['name']}` failed: {result['why']}"
    for line in (result.get("output") or "").splitlines()[-SHOWN:]:
        yield f"| {line}"
