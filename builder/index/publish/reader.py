"""What was published, read back over HTTP as pip does: every page, and the bytes of every file that it names."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeVar
from urllib.parse import quote

from builder.acquire.indexes import read_page
from builder.errors import NetworkFailure
from builder.events import Event, Report, silent
from builder.fetch import Fetcher, public
from builder.index.layout import FILES, METADATA, Branch
from builder.index.page import Page
from builder.index.publish.flow import Wrong
from builder.index.publish.publication import Listed, Publication
from builder.run import stopping

if TYPE_CHECKING:
    from pypi_simple import DistributionPackage

ACCEPT = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html; q=0.1, text/html; q=0.01"  # pip's
AT_ONCE = 8
Verify = Literal["sha256", "size"]
T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, kw_only=True)
class _Read:
    """Where a page leads: the URL of each file that is to be there; and what is wrong with the page itself."""

    links: tuple[tuple[Listed, str], ...] = ()
    wrong: tuple[Wrong, ...] = ()
    failure: str = ""  # why it could not be read at all


class Reader:
    """Reads what was published below `url`; "size" compares only how many bytes of a file the server announces."""

    def __init__(self, url: str, fetcher: Fetcher, verify: Verify = "sha256") -> None:
        self._url, self._fetcher, self._verify = f"{url.rstrip('/')}/", fetcher, verify
        self.proof = f"{verify}, read over HTTP"

    def tree(self, publication: Publication, report: Report = silent, *, every: bool) -> tuple[Wrong, ...]:
        """What is wrong with a published tree: pages that are not there, lack a file, or lead to other bytes.

        With `every`, also the files that are no wheels, each at its own address: nobody else has looked at them.
        """
        listed = {file.path: file for file in publication.files}
        pages = [(branch, page) for branch in publication.branches for page in publication.pages[branch]]
        read = list(self._all(lambda one: self._page(*one, listed), pages, "pages", report))
        if read and all(one.failure for one in read):  # not the pages' fault, but the address's or the server's
            return (Wrong(path=public(self._url), why=f"no page of the index can be read there: {read[0].failure}"),)
        links = dict.fromkeys(link for one in read for link in one.links)
        if every:
            links |= dict.fromkeys(self._own(file) for file in publication.files if not file.lasting)
        wrong = [found for one in read for found in one.wrong]
        wrong += filter(None, self._all(lambda link: self._file(*link), list(links), "files", report))
        return tuple(sorted(set(wrong), key=lambda one: (one.path, one.why)))

    def flat(self, files: Sequence[Listed], report: Report = silent) -> tuple[Wrong, ...]:
        """What is wrong with files that stand side by side."""
        links = [self._own(file) for file in files]
        return tuple(filter(None, self._all(lambda link: self._file(*link), links, "files", report)))

    def _own(self, file: Listed) -> tuple[Listed, str]:
        return file, self._url + quote(file.path)

    def _page(self, branch: Branch, page: Page, listed: dict[str, Listed]) -> _Read:
        url = f"{self._url}{quote(str(branch.page(page.name)))}/"
        path = f"{branch.page(page.name)}/"
        try:
            there = {package.filename: package for package in self._listing(url, page.name)}
        except NetworkFailure as failure:
            return _Read(wrong=(Wrong(path=path, why=failure.what),), failure=failure.what)
        links: list[tuple[Listed, str]] = []
        wrong: list[Wrong] = []
        for file in page.files:
            package = there.get(file.filename)
            if package is None:
                wrong.append(Wrong(path=path, why=f"the page does not name {file.filename}"))
            elif package.digests.get("sha256") != file.sha256:
                wrong.append(Wrong(path=path, why=f"the page promises another sha256 for {file.filename}"))
            else:
                at = package.url.partition("#")[0]
                wheel = f"{branch.profile}/{FILES}/{file.filename}"
                links += [(listed[wheel], at), (listed[f"{wheel}{METADATA}"], f"{at}{METADATA}")]
        return _Read(links=tuple(links), wrong=tuple(wrong))

    def _listing(self, url: str, name: str) -> list[DistributionPackage]:
        body, kind, final = self._fetcher.get(url, headers={"Accept": ACCEPT, "Cache-Control": "max-age=0"})
        try:
            return read_page(name, body, kind, final)
        except ValueError as error:
            raise NetworkFailure(f"{public(url)} is no page of a package index: {error}") from error

    def _file(self, file: Listed, url: str) -> Wrong | None:
        try:
            if self._verify == "sha256":
                return None if self._fetcher.sha256(url) == file.sha256 else Wrong(path=file.path, why="other bytes")
            size = self._fetcher.size(url)
        except NetworkFailure as failure:
            return Wrong(path=file.path, why=failure.what)
        if size is None:
            return Wrong(path=file.path, why="the server does not say how many bytes it has")
        return None if size == file.size else Wrong(path=file.path, why=f"{size} bytes in place of {file.size}")

    def _all(self, read: Callable[[T], R], of: Sequence[T], what: str, report: Report) -> Iterator[R]:
        pool = ThreadPoolExecutor(AT_ONCE)
        try:
            for done, result in enumerate(pool.map(read, of), 1):
                report(Event(subject=public(self._url), stage=f"read {what} back", done=done, total=len(of)))
                yield result
        except BaseException:  # Ctrl-C reaches this thread alone
            with stopping():
                pool.shutdown(cancel_futures=True)
            raise
        finally:
            pool.shutdown(cancel_futures=True)
