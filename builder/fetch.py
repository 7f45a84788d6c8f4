"""The one place where builder and ot2deploy speak HTTP."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit, urlunsplit

from builder.errors import HashFailure, NetworkFailure, OfflineFailure
from builder.files import CHUNK, replacing
from builder.giving_up import given_up

if TYPE_CHECKING:
    import requests

TIMEOUT = (15.0, 60.0)  # connect, read; seconds
TRIES = 4


class Fetcher:
    """Downloads over HTTP(S) and file: URLs; with `offline` it refuses to touch the network.

    Thread-safe: one requests session with a pool, retries with back-off for connection errors and 5xx answers.
    A user name and password in one of `indexes`, or in a URL that was asked for, are sent for every other file of the
    same server: the URLs that are kept (locks, answers) hold none. For all other servers ~/.netrc counts.
    """

    def __init__(self, *, offline: bool = False, indexes: Iterable[str] = ()) -> None:
        self.offline = offline
        self._session: requests.Session | None = None
        self._logins = {server(url): login for url in indexes if (login := login_of(url))}

    def get(self, url: str, *, headers: Mapping[str, str] | None = None) -> tuple[bytes, str, str]:
        """The body, content type and final URL, without a password, of a GET. Raises NetworkFailure (404 included)."""
        if url.startswith("file:"):
            return b"".join(_read(url)), "", url
        import requests

        with self._open(url, headers) as response:
            try:
                body = response.content
            except requests.RequestException as error:
                raise _broken_off(url, error) from error
            return body, response.headers.get("Content-Type", ""), without_login(response.url)

    def download(
        self, url: str, destination: Path, *, sha256: str, progress: Callable[[int], None] | None = None
    ) -> None:
        """Writes what `url` answers to `destination`, if and only if its sha256 is the expected one.

        `progress` is called with the number of bytes of each chunk. Raises HashFailure, NetworkFailure.
        """
        found = hashlib.sha256()
        with replacing(destination) as temporary:
            with temporary.open("wb") as out:
                for chunk in self._chunks(url):
                    out.write(chunk)
                    found.update(chunk)
                    if progress:
                        progress(len(chunk))
            if found.hexdigest() != sha256:
                raise HashFailure(
                    f"sha256 mismatch for {public(url)}",
                    why=f"Expected {sha256}, got {found.hexdigest()}; the file changed or was damaged on the way.",
                    next="Run the command again; if it stays, re-lock the environment: the index serves other bytes.",
                )

    def _chunks(self, url: str) -> Iterator[bytes]:
        if url.startswith("file:"):
            yield from _read(url)
            return
        import requests

        with self._open(url, {"Accept-Encoding": "identity"}) as response:
            try:
                for chunk in response.iter_content(CHUNK):
                    if given_up():
                        raise NetworkFailure(f"download of {public(url)} was interrupted")
                    yield chunk
            except requests.RequestException as error:
                raise _broken_off(url, error) from error

    def _open(self, url: str, headers: Mapping[str, str] | None) -> requests.Response:
        if self.offline:
            raise OfflineFailure(
                f"{public(url)} is needed, and --offline is set", next="Run the same command without --offline."
            )
        import requests

        if login := login_of(url):
            self._logins[server(url)] = login
        try:
            response = self._pool().get(
                without_login(url),
                headers=dict(headers or {}),
                stream=True,
                timeout=TIMEOUT,
                auth=self._logins.get(server(url)),
            )
            response.raise_for_status()
        except requests.HTTPError as error:
            status = error.response.status_code
            hint = "Put the server's user name and password into ~/.netrc, or into the URL of the index."
            raise NetworkFailure(
                f"{public(url)} answered {status}", next=hint if status in (401, 403) else ""
            ) from error
        except requests.RequestException as error:
            host = urlsplit(url).hostname
            raise NetworkFailure(
                f"cannot reach {host}: {type(error).__name__}",
                why="No network, a proxy that is not configured, or the server is down.",
                next="Check the connection, or use --offline if everything is in the store.",
            ) from error
        return response

    def _pool(self) -> requests.Session:
        if self._session is None:
            import requests
            from requests.adapters import HTTPAdapter
            from urllib3.util import Retry

            retry = Retry(total=TRIES, backoff_factor=0.5, status_forcelist=(429, 500, 502, 503, 504))
            session = requests.Session()
            session.mount("https://", HTTPAdapter(max_retries=retry, pool_maxsize=16))
            session.mount("http://", HTTPAdapter(max_retries=retry, pool_maxsize=16))
            self._session = session
        return self._session


def public(url: str) -> str:
    """A URL without user name, password, query and fragment: what may be printed or stored."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path, "", ""))


def without_login(url: str) -> str:
    """A URL without user name and password."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def login_of(url: str) -> tuple[str, str] | None:
    """The user name and password in a URL, or None."""
    parts = urlsplit(url)
    return (unquote(parts.username or ""), unquote(parts.password or "")) if "@" in parts.netloc else None


def server(url: str) -> tuple[str, str]:
    """What a login is for: the URL's scheme, and its host with the port."""
    parts = urlsplit(url)
    return parts.scheme, parts.netloc.rpartition("@")[2]


def _broken_off(url: str, error: Exception) -> NetworkFailure:
    return NetworkFailure(f"download of {public(url)} broke off: {type(error).__name__}", next="Run the command again.")


def _read(url: str) -> Iterator[bytes]:
    """The chunks of a file: URL. Raises NetworkFailure where the file cannot be read."""
    path = Path(unquote(urlsplit(url).path))
    try:
        with path.open("rb") as file:
            while chunk := file.read(CHUNK):
                yield chunk
    except OSError as error:
        raise NetworkFailure(
            f"{path} cannot be read: {error.strerror or error}", next="Put it back, or lock the environment again."
        ) from error
