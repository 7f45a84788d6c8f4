"""The project's indexes as a resolver asks them: the lab's own branch, seen to be there, with its login.

uv takes an index that does not have a name for one that need not be asked: of a stick that is not plugged in, or at a
wrong address, the lab's private names would be looked up elsewhere, where anybody may have put something under them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from builder.environment import PROFILE, Index
from builder.errors import NetworkFailure
from builder.fetch import Fetcher, public
from builder.index.layout import OWN

PAGE = "index.html"


def for_resolving(indexes: Iterable[Index], fetcher: Fetcher) -> tuple[Index, ...]:
    """The indexes for a resolver, in their order. Raises NetworkFailure for one that is not there or not open to us.

    Offline only directories are looked at. What the root of an index without branches answers is its own affair, as
    long as it lets us in.
    """
    return tuple(_checked(index, fetcher) for index in indexes)


def directory_of(index: Index) -> Path | None:
    """The directory of an index with a file: URL, or None."""
    return Path(unquote(urlsplit(index.url).path)) if index.url.startswith("file:") else None


def missing(index: Index) -> Path | None:
    """The directory of an index where it is not there: of one with branches the index's own, whichever it has."""
    above = index.url.partition(PROFILE)[0]
    directory = directory_of(replace(index, url=above))
    return directory if directory and not directory.is_dir() else None


def not_there(index: Index, directory: Path) -> NetworkFailure:
    """The failure of an index whose directory is not there."""
    return NetworkFailure(
        f"the index {index.name} is not there: {directory}",
        why="Without it names that only it has would be looked up elsewhere.",
        next=_mend(index, "Plug it in, or put it there"),
    )


def is_tree(directory: Path) -> bool:
    """Whether a directory is the static tree of an index and not one of wheels."""
    return (directory / PAGE).is_file()


def _checked(index: Index, fetcher: Fetcher) -> Index:
    own = index.branch(OWN)
    if directory := directory_of(own):
        _look_at(directory, index)
        return own
    if fetcher.offline:
        return own
    try:
        fetcher.knock(f"{own.url.rstrip('/')}/")
    except NetworkFailure as failure:
        if index.branched or failure.status in (None, 401):
            raise _refused(index, failure) from failure
    login = fetcher.login(own.url)
    return replace(own, url=with_login(own.url, login)) if login else own


def with_login(url: str, login: tuple[str, str]) -> str:
    """A URL with a user name and password in the place of what it had."""
    parts = urlsplit(url)
    user, password = (quote(word, safe="") for word in login)
    return urlunsplit(parts._replace(netloc=f"{user}:{password}@{parts.netloc.rpartition('@')[2]}"))


def cannot_be_asked(index: Index, failure: NetworkFailure) -> NetworkFailure:
    """The failure of one page as that of its index: the next page would meet it, too."""
    told = NetworkFailure(
        f"the index {index.name} cannot be asked: {failure.what}",
        why=failure.why,
        next=failure.next or _mend(index, "Look whether its server runs"),
    )
    told.status = failure.status
    return told


def _look_at(directory: Path, index: Index) -> None:
    if absent := missing(index):
        raise not_there(index, absent)
    if index.branched and not is_tree(directory):
        raise NetworkFailure(
            f"{directory} is no branch of an index: it has no {PAGE}",
            why="It says which names only the lab has, which must not be looked up elsewhere.",
            next=_mend(index, f"Copy the whole index with its {OWN}/ directory, or name the directory of one profile"),
        )


def _refused(index: Index, failure: NetworkFailure) -> NetworkFailure:
    """What an index of ours that cannot be asked is told as."""
    if index.branched and failure.status == 404:
        return NetworkFailure(
            f"{public(index.branch(OWN).url)} answered 404: no index of ours is there, or nothing is in its channel",
            why="Without it names that only it has would be looked up elsewhere.",
            next=_mend(index, "Upload a wheel first, or correct the address"),
        )
    return cannot_be_asked(index, failure)


def _mend(index: Index, what: str) -> str:
    return f"{what}; it is named in {index.said}." if index.said else f"{what}."
