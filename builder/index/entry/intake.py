"""One wheel into every branch that takes it: a line in the journal, and the tree changed whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builder.engine import Engine
from builder.errors import AuditFailure
from builder.files import disk_failures
from builder.index.change import Arrival, Change, Conflict
from builder.index.entry.admit import NotAdmitted, admit
from builder.index.entry.fitting import chosen, hint, host_of
from builder.index.journal import Act, Journal
from builder.index.layout import HOST, Branch
from builder.index.tree import Index
from builder.profile import Profile, names
from builder.profile_host import load


@dataclass(frozen=True, kw_only=True)
class Upload:
    """A wheel for branches; `who` offers it.

    With `every` all of them have to take it, else one suffices, and those of profiles that the index has come first:
    others are begun only where it fits none of them. `own` says whether it is the lab's own project's, None
    leaves that to what the store knows.
    """

    path: Path
    branches: tuple[Branch, ...]
    every: bool
    who: str
    own: bool | None = None


@dataclass(frozen=True, kw_only=True)
class Taken:
    """What became of a wheel: for each branch that took it, whether it is new there; why the others did not."""

    filename: str
    sha256: str
    branches: Mapping[str, bool]
    refused: Mapping[str, str]

    @property
    def new(self) -> bool:
        """Whether anything was changed."""
        return any(self.branches.values())

    def as_dict(self) -> dict[str, Any]:
        """The outcome for programs."""
        told = {branch: "new" if new else "no change" for branch, new in self.branches.items()}
        return {"filename": self.filename, "sha256": self.sha256, "branches": told, "refused": dict(self.refused)}

    def __str__(self) -> str:
        """The outcome in one line."""
        new = ", ".join(branch for branch, is_new in self.branches.items() if is_new)
        same = ", ".join(branch for branch, is_new in self.branches.items() if not is_new)
        said = [f"new in {new}" if new else "", f"no change in {same}" if same else ""]
        said += [f"not in {branch}: {why}" for branch, why in self.refused.items()]
        return f"{self.filename}: {'; '.join(filter(None, said))}"


def take(upload: Upload, index: Index, engine: Engine, journal: Journal) -> Taken:
    """Puts a wheel into branches. Raises AuditFailure, Conflict and DiskFailure, and has changed nothing then."""
    profiles = {Branch(profile=one.name, channel=where.channel): one for where, one in _loaded(upload)}
    arrivals: dict[Branch, Arrival] = {}
    refused: dict[Branch, AuditFailure] = {}
    for branch, profile in profiles.items():
        try:
            with disk_failures(engine.store.root):
                arrivals[branch] = admit(upload.path, profile, engine, own=upload.own)
        except AuditFailure as failure:
            refused[branch] = failure
    if refused and (upload.every or not arrivals):
        raise _refusal(upload, refused, profiles)
    with index.change() as change:
        tried = profiles if upload.every else _tried(upload, index, profiles)
        arrivals = {branch: arrival for branch, arrival in arrivals.items() if branch in tried}
        refused = {branch: failure for branch, failure in refused.items() if branch in tried}
        if not arrivals:
            raise _refusal(upload, refused, tried)
        new = _added(change, arrivals, upload.who, journal)
    one = next(iter(arrivals.values()))
    return Taken(
        filename=upload.path.name,
        sha256=one.file.sha256,
        branches={str(branch): is_new for branch, is_new in new.items()},
        refused={str(branch): _in_a_line(failure) for branch, failure in refused.items()},
    )


def _tried(upload: Upload, index: Index, profiles: Mapping[Branch, Profile]) -> Mapping[Branch, Profile]:
    """Of the open branches those of profiles that the index has, if the wheel fits one; under the lock, as a writer
    makes the branches of a new index one after the other.
    """
    wanted = chosen(upload.path, tuple(profiles.values()), {branch.profile for branch in index.branches()})
    return {branch: profile for branch, profile in profiles.items() if profile in wanted}


def _loaded(upload: Upload) -> Iterator[tuple[Branch, Profile]]:
    return ((branch, load(branch.profile)) for branch in upload.branches)


def open_to(index: Index) -> tuple[str, ...]:
    """The profiles that are open to a wheel where nobody names one: robots', and this computer's if it has a branch."""
    there = {branch.profile for branch in index.branches()}
    return (*names(), *(HOST for _ in host_of(there)))


def _added(change: Change, arrivals: Mapping[Branch, Arrival], who: str, journal: Journal) -> dict[Branch, bool]:
    """Adds a wheel to a change. The journal has its line before the tree has it: an upload is never unrecorded."""
    new: dict[Branch, bool] = {}
    for branch, arrival in arrivals.items():
        files = {arrival.file.filename: arrival.file.sha256}
        try:
            new[branch] = change.add(branch, arrival)
        except Conflict as conflict:
            where, why = (str(branch),), conflict.why
            journal.add(Act(op="refused", who=who, branches=where, name=arrival.name, files=files, detail=why))
            raise
    changed = tuple(str(branch) for branch, is_new in new.items() if is_new)
    if changed:
        journal.add(Act(op="upload", who=who, branches=changed, name=arrival.name, files=files))
    return new


def _refusal(upload: Upload, refused: Mapping[Branch, AuditFailure], tried: Mapping[Branch, Profile]) -> AuditFailure:
    """Why a wheel was not taken: the one reason, or each branch's."""
    elsewhere = "" if upload.every else hint(upload.path, tried.values())
    first = next(iter(refused.values()))
    if not elsewhere and len(refused) == len(tried) and len({_in_a_line(failure) for failure in refused.values()}) == 1:
        return first
    return NotAdmitted(
        "not every branch that was named takes it" if upload.every else "no branch takes it",
        subject=upload.path.name,
        details=tuple(f"{branch}: {_in_a_line(failure)}" for branch, failure in refused.items()),
        next=elsewhere or first.next,
    )


def _in_a_line(failure: AuditFailure) -> str:
    return " ".join(filter(None, [f"{failure.what}.", *failure.details, failure.why]))
