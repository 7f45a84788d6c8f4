"""The one place where builder and ot2deploy speak HTTP."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

from builder.errors import HashFailure, NetworkFailure, OfflineFailure, UsageFailure
from builder.files import CHUNK, replacing
from builder.giving_up import given_up

if TYPE_CHECKING:
    import requests

TIMEOUT = (15.0, 60.0)  # connect, read; seconds
BRIEF = (5.0, 10.0)
PATIENT = (15.0, 600.0)  # for a server that first looks at what was sent
TRIES = 4
MOST_SAID = 500  # letters of a reason
WITHOUT_NETWORK = "Check the connection, or use --offline if everything is in the store."


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A server's answer to a question that was asked before: `body` is empty unless it `changed`.

    `url` is the final one without a password; `etag` is "" where the server gave none.
    """

    changed: bool
    body: bytes
    content_type: str
    url: str
    etag: str


@dataclass(frozen=True, kw_only=True)
class Said:
    """What a server says to something that was sent to it."""

    status: int
    body: bytes


class Body(Protocol):
    """What is sent, in pieces; its length is known before (bytes)."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[bytes]: ...


class Fetcher:
    """Downloads over HTTP(S) and file: URLs; with `offline` it refuses to touch the network.

    Thread-safe: one requests session with a pool, retries with back-off for connection errors and 5xx answers.
    A user name and password in one of `indexes`, or in a URL that was asked for, are sent for every other file of the
    same server: the URLs that are kept (locks, answers) hold none. For all other servers ~/.netrc counts, and where
    that does not open the door, the keyring is asked once.
    Without `patient` a failure is told soon, for who has others waiting: shorter time limits, one retry where a
    connection failed and none where the server did answer.
    With `direct` no proxy is asked and no login looked for, for machines on one's own network.
    """

    def __init__(
        self, *, offline: bool = False, indexes: Iterable[str] = (), patient: bool = True, direct: bool = False
    ) -> None:
        self.offline, self.patient, self.direct = offline, patient, direct
        self._session: requests.Session | None = None
        self._logins: dict[tuple[str, str], tuple[str, str]] = {}
        self._users: dict[tuple[str, str], str] = {}
        self._asked: set[tuple[str, str]] = set()
        self._guard = threading.Lock()
        for url in indexes:
            self._learn(url)

    def login(self, url: str) -> tuple[str, str] | None:
        """The user name and password that were given or found for the server of a URL; ~/.netrc is not looked at."""
        return self._logins.get(server(url))

    def knock(self, url: str) -> None:
        """Asks for a URL and takes nothing of the answer: is it there, and open to us? Raises NetworkFailure."""
        self._open(url, None).close()

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

    def ask(self, url: str, *, most: int, headers: Mapping[str, str] | None = None, etag: str = "") -> Answer:
        """The answer to a GET over HTTP, which may be that nothing changed since it had this `etag`.

        Raises NetworkFailure (404 included), also for a body of more than `most` bytes.
        """
        import requests

        known = {"If-None-Match": etag} if etag else {}
        with self._open(url, {**(headers or {}), **known}) as response:
            body = bytearray()
            try:
                for chunk in response.iter_content(CHUNK):
                    body += chunk
                    if len(body) > most:
                        raise _too_large(url, most)
            except requests.RequestException as error:
                raise _broken_off(url, error) from error
            return Answer(
                changed=response.status_code != 304,
                body=bytes(body),
                content_type=response.headers.get("Content-Type", ""),
                url=without_login(response.url),
                etag=response.headers.get("ETag", ""),
            )

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

    def sha256(self, url: str) -> str:
        """The sha256 of what `url` answers, which is kept nowhere. Raises NetworkFailure."""
        found = hashlib.sha256()
        for chunk in self._chunks(url):
            found.update(chunk)
        return found.hexdigest()

    def size(self, url: str) -> int | None:
        """How many bytes a server announces for `url`, without taking them; None where it does not say it.

        Raises NetworkFailure.
        """
        with self._open(url, {"Accept-Encoding": "identity"}) as response:
            said = response.headers.get("Content-Length", "")
            return int(said) if said.isdecimal() else None

    def post(self, url: str, body: Body, *, headers: Mapping[str, str], login: tuple[str, str] | None) -> Said:
        """What a server says to a POST, whatever its status is; the body is sent as it is read, and never elsewhere.

        Without a `login` it is the one that was found for the server, in ~/.netrc or in the keyring. Raises
        NetworkFailure.
        """
        import requests

        login = login or self._logins.get(server(url))
        if not login and not self.direct and not requests.utils.get_netrc_auth(url) and self._keyring_opens(url):
            login = self._logins.get(server(url))
        try:
            response = self._pool().post(
                url, data=body, headers=dict(headers), timeout=PATIENT, auth=login, allow_redirects=False
            )
        except requests.RequestException as error:
            raise _unreachable(url, error, "Check the address and the connection, and run the same again.") from error
        return Said(status=response.status_code, body=response.content)

    def delete(self, url: str, *, headers: Mapping[str, str]) -> Said:
        """What a server says to a DELETE, whatever its status is. Raises NetworkFailure."""
        import requests

        try:
            response = self._pool().delete(
                url, headers=dict(headers), timeout=TIMEOUT if self.patient else BRIEF, allow_redirects=False
            )
        except requests.RequestException as error:
            raise _unreachable(url, error) from error
        return Said(status=response.status_code, body=response.content)

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

        self._learn(url)
        try:
            response = self._request(url, headers)
            if response.status_code == 401 and self._keyring_opens(url):
                response.close()
                response = self._request(url, headers)
            response.raise_for_status()
        except requests.HTTPError as error:
            raise _answered(url, error.response) from error
        except requests.RequestException as error:
            raise _unreachable(url, error) from error
        return response

    def _request(self, url: str, headers: Mapping[str, str] | None) -> requests.Response:
        return self._pool().get(
            without_login(url),
            headers=dict(headers or {}),
            stream=True,
            timeout=TIMEOUT if self.patient else BRIEF,
            auth=self._logins.get(server(url)),
        )

    def _learn(self, url: str) -> None:
        """Keeps the login in a URL; one that names only a user says whose password to look for."""
        user, password = login_of(url) or ("", "")
        if password:
            self._logins[server(url)] = user, password
        elif user:
            self._users[server(url)] = user

    def _keyring_opens(self, url: str) -> bool:
        """Whether there is a login for a server that wants one: the keyring's, which is asked once for each server, or
        the name in the URL alone, which some servers take for a token.
        """
        from builder.logins import from_keyring

        with self._guard:
            if server(url) not in self._asked and server(url) not in self._logins:
                self._asked.add(server(url))
                user = self._users.get(server(url), "")
                found = from_keyring(without_login(url), user) or ((user, "") if user else None)
                if found:
                    self._logins[server(url)] = found
            return server(url) in self._asked and server(url) in self._logins

    def _pool(self) -> requests.Session:
        if self._session is None:
            import requests
            from requests.adapters import HTTPAdapter
            from urllib3.util import Retry

            retry = Retry(total=TRIES, backoff_factor=0.5, status_forcelist=(429, 500, 502, 503, 504))
            if not self.patient:
                retry = Retry(total=1, backoff_factor=0.2, respect_retry_after_header=False)
            session = requests.Session()
            session.trust_env = not self.direct
            session.mount("https://", HTTPAdapter(max_retries=retry, pool_maxsize=16))
            session.mount("http://", HTTPAdapter(max_retries=retry, pool_maxsize=16))
            self._session = session
        return self._session


def split(url: str) -> SplitResult:
    """The parts of a URL that a person gave, its port being a number. Raises UsageFailure.

    Its message has no login and no query, which the library's own words would show.
    """
    try:
        parts = urlsplit(url)
        _ = parts.port  # read as a number only when it is asked for
    except ValueError:
        shown = url.rpartition("@")[2].partition("?")[0]
        raise UsageFailure(f"{shown} is no URL", next="Look at its host and its port.") from None
    return parts


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


def _answered(url: str, response: requests.Response) -> NetworkFailure:
    """The failure of a server's answer, with its reason; where it wants a login, with the ways to give it one."""
    status, authorization = response.status_code, response.request.headers.get("Authorization", "")
    wants_login = status in (401, 403)
    refused = ": the login was refused" if wants_login and authorization else ""
    said = _reason(response, authorization)
    failure = NetworkFailure(
        f"{public(url)} answered {status}{refused}", why=f"The server says: {said.rstrip('.')}." if said else ""
    )
    failure.status = status
    if wants_login:
        which = "another" if refused else "the"
        failure.next = (
            f"Put {which} user name and password into ~/.netrc (machine {urlsplit(url).hostname}), or into the keyring "
            f"(keyring set {server(url)[1]} __token__), or into the URL of the index."
        )
    return failure


def _reason(response: requests.Response, authorization: str) -> str:
    """The line with which a server explains why it refused; "" for anything that is not one plain line, and for one
    that holds the login.
    """
    import requests

    kind = response.headers.get("Content-Type", "")
    try:
        with response:
            text = next(response.iter_content(MOST_SAID), b"").decode("utf-8", "replace").strip()
        said = json.loads(text)["error"] if "json" in kind else text if kind.startswith("text/plain") else ""
        password = base64.b64decode(authorization.partition(" ")[2]).decode("utf-8", "replace").partition(":")[2]
    except (requests.RequestException, ValueError, LookupError, TypeError):
        return ""
    told = str(said) if len(text) < MOST_SAID and not (password and password in text) else ""
    return told if told.isprintable() else ""


def _too_large(url: str, most: int) -> NetworkFailure:
    failure = NetworkFailure(f"{public(url)} answered with more than {most} bytes")
    failure.status = 200
    return failure


def _unreachable(url: str, error: Exception, next: str = WITHOUT_NETWORK) -> NetworkFailure:
    return NetworkFailure(
        f"cannot reach {server(url)[1]}: {type(error).__name__}",
        why="No network, a proxy that is not configured, or the server is down.",
        next=next,
    )


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
