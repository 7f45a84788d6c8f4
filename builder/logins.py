"""Logins that the user's keyring holds for a server, asked for the way pip and uv ask."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

from builder.errors import ToolFailure
from builder.run import environment, run

TOKEN_USER = "__token__"  # who has a token in place of a password
UNLOCKING = 120.0  # seconds, in which a person may type a password
# What a keyring's program needs to find the desktop's own.
PASSED = ("DBUS_SESSION_BUS_ADDRESS", "DISPLAY", "WAYLAND_DISPLAY", "XDG_RUNTIME_DIR", "PYTHON_KEYRING_BACKEND")

Ask = Callable[[str, str], str | None]


def from_keyring(url: str, user: str = "") -> tuple[str, str] | None:
    """The user name and password for what stands at a URL, or None: no keyring, or nothing in it.

    The service is the URL, a part of it from its beginning, or its host; without a user's name it is `__token__`.
    """
    ask = _module() or _program()
    if ask is None:
        return None
    user = user or TOKEN_USER
    passwords = (ask(service, user) for service in _services(url))
    return next(((user, password) for password in passwords if password), None)


def _services(url: str) -> Iterator[str]:
    """What a password may be kept under, the longest first."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    path = parts.path
    while path:
        yield f"{parts.scheme}://{host}{path}"
        path = path.rstrip("/") if path.endswith("/") else path.rpartition("/")[0] + "/"
    yield f"{parts.scheme}://{host}"
    yield host


def _module() -> Ask | None:
    try:
        import keyring
        from keyring.errors import KeyringError
    except ImportError:
        return None

    def ask(service: str, user: str) -> str | None:
        try:
            return keyring.get_password(service, user)
        except (KeyringError, RuntimeError):  # locked, or no back end that works
            return None

    return ask


def _program() -> Ask | None:
    program = shutil.which("keyring")
    if program is None:
        return None

    def ask(service: str, user: str) -> str | None:
        try:
            found = run([program, "get", service, user], timeout=UNLOCKING, env=environment(passed=PASSED), check=False)
        except ToolFailure:
            return None
        return found.stdout.strip() or None if found.status == 0 else None

    return ask
