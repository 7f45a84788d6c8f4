"""Publishing an index: what a place lacks is sent there, wheels before the pages that name them, and all is proved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from builder.errors import BuildFailure
from builder.events import Report, silent
from builder.index.change import SETTINGS
from builder.index.export.export import FRONT
from builder.index.publish.publication import Listed, Publication, branch_of, stale, with_front


class Place(Protocol):
    """Somewhere that files can be sent to and looked at: a directory, a computer behind SSH, an rsync daemon.

    `name` is the place as people write it; `proof` how its files are compared: "sha256", or by what else.
    """

    @property
    def name(self) -> str: ...

    @property
    def proof(self) -> str: ...

    def there(self, publication: Publication) -> dict[str, str]:
        """The sha256 of what is there now below the publication's first names, by path; "" where it is not known, or
        only that it is another one. Also the lists of projects of other branches. Changes nothing. Raises a Failure.
        """
        ...

    def send(self, publication: Publication, files: Sequence[Listed], report: Report) -> None:
        """Sends files in their order; each is there whole or not at all, and pages come when all wheels are there.

        What an interrupted call has sent stays and needs not be sent again. Raises a Failure.
        """
        ...

    def remove(self, paths: Sequence[str]) -> None:
        """Removes files, in their order. Raises a Failure."""
        ...


class NotOurs(BuildFailure):
    """The place holds something that publishing would destroy."""

    code = "publish-refused"


@dataclass(frozen=True, kw_only=True)
class Wrong:
    """A file that is not there as it should be, and what is the matter with it."""

    path: str
    why: str


@dataclass(frozen=True, kw_only=True)
class Published:
    """What was done at a place, or, in a dry run, would be.

    `sent` are the paths that were; `stale` those that the index no longer has, which are still there unless `removed`.
    `proof` says how every file was compared afterwards, "" where none was; `wrong` is what was found then. `printed` is
    what a program said that everything was handed over to.
    """

    name: str
    publication: Publication
    sent: tuple[str, ...]
    stale: tuple[str, ...] = ()
    removed: bool = False
    proof: str = ""
    wrong: tuple[Wrong, ...] = ()
    printed: str = ""
    dry_run: bool = False

    @property
    def changed(self) -> bool:
        """Whether anything was done."""
        return bool(self.sent) or (self.removed and bool(self.stale))

    def as_dict(self) -> dict[str, Any]:
        """All of it."""
        files = self.publication.files
        return {
            "place": self.name,
            "branches": [str(branch) for branch in self.publication.branches],
            "wheels": self.publication.wheels,
            "files": [vars(file) for file in files],
            "bytes": sum(file.size for file in files),
            "sent": list(self.sent),
            "stale": list(self.stale),
            "removed": self.removed,
            "changed": self.changed,
            "proof": self.proof or None,
            "wrong": [vars(one) for one in self.wrong],
            "printed": self.printed,
            "dry_run": self.dry_run,
        }


@dataclass(frozen=True, kw_only=True)
class How:
    """How to publish: whether stale files go, whether a wheel's other bytes there are replaced, whether it is only
    looked what would be done.
    """

    delete: bool = False
    replace: bool = False
    dry_run: bool = False


def publish(publication: Publication, place: Place, how: How, report: Report = silent) -> Published:
    """look -> send what differs -> remove what is stale -> look again, at every file.

    Raises NotOurs where the place holds something else, or other bytes under a wheel's name; a Failure of the place.
    """
    there = place.there(publication)
    gone = stale(publication, there)
    publication = with_front(publication, set(there).difference(gone if how.delete else ()))
    lacking = [file for file in publication.files if there.get(file.path) != file.sha256]
    _look_before(lacking, there, place, how)
    done = Published(
        name=place.name,
        publication=publication,
        sent=tuple(file.path for file in lacking),
        stale=gone,
        removed=how.delete,
        dry_run=how.dry_run,
    )
    if how.dry_run:
        return done
    if lacking:
        place.send(publication, lacking, report)
    if gone and how.delete:
        place.remove(gone)
    after = place.there(publication) if done.changed else there
    return replace(done, proof=place.proof, wrong=compared(publication.files, after))


def compared(files: Sequence[Listed], there: Mapping[str, str]) -> tuple[Wrong, ...]:
    """Every file that is missing or has other bytes. Pure."""
    why = {file.path: "missing" if file.path not in there else "other bytes" for file in files}
    return tuple(Wrong(path=file.path, why=why[file.path]) for file in files if there.get(file.path) != file.sha256)


def _look_before(lacking: Sequence[Listed], there: Mapping[str, str], place: Place, how: How) -> None:
    if FRONT in there and SETTINGS not in there and not any(map(branch_of, there)):
        raise NotOurs(
            f"{place.name} has an {FRONT} that is not an index's",
            why="Publishing would replace it.",
            next="Name a directory of its own for the index, such as one more name at the end.",
        )
    wheels = tuple(file.path for file in lacking if file.lasting and file.path in there)
    if wheels and not how.replace:
        raise NotOurs(
            f"{place.name} has other bytes under names of this index",
            details=wheels,
            why="One name is one content, for ever: locks pin its sha256. Or these files are damaged there.",
            next="Build them with a higher `revision` in their recipes; if they are only damaged there: --replace",
        )
