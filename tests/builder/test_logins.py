"""What a keyring is asked for, and how: the module where it is installed, else the program."""

from __future__ import annotations

import stat
import sys
from pathlib import Path

import pytest

from builder.logins import from_keyring

URL = "http://index.example:8080/ot2-py310/simple/demo/"


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> dict[tuple[str, str], str]:
    """Passwords in the module's own keyring, by service and user."""
    keyring = pytest.importorskip("keyring")
    passwords: dict[tuple[str, str], str] = {}

    class Backend(keyring.backend.KeyringBackend):  # type: ignore[misc,name-defined]
        priority = 1

        def get_password(self, service: str, username: str) -> str | None:
            if service == "locked.example":
                raise keyring.errors.KeyringLocked("ask again")
            return passwords.get((service, username))

        def set_password(self, service: str, username: str, password: str) -> None:
            passwords[service, username] = password

        def delete_password(self, service: str, username: str) -> None:
            del passwords[service, username]

    before = keyring.get_keyring()
    monkeypatch.setattr(keyring.core, "_keyring_backend", before)
    keyring.set_keyring(Backend())
    return passwords


@pytest.mark.parametrize(
    "service",
    ["index.example:8080", "http://index.example:8080", "http://index.example:8080/ot2-py310/simple/", URL],
)
def test_the_service_is_the_host_or_the_url_to_any_length(kept, service: str) -> None:
    kept[service, "__token__"] = "s3cret"
    assert from_keyring(URL) == ("__token__", "s3cret")
    assert from_keyring(URL, "bob") is None


def test_the_longest_service_wins_and_another_host_gets_nothing(kept) -> None:
    kept["index.example:8080", "bob"] = "host's"
    kept["http://index.example:8080/ot2-py310/simple/", "bob"] = "branch's"
    assert from_keyring(URL, "bob") == ("bob", "branch's")
    assert from_keyring("http://other.example:8080/", "bob") is None
    assert from_keyring("http://index.example:8081/", "bob") is None


def test_a_locked_keyring_is_none(kept) -> None:
    assert from_keyring("https://locked.example/") is None


def test_the_program_is_asked_where_there_is_no_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "keyring"
    program.write_text(
        f"#!{sys.executable}\nimport sys\n"
        "if sys.argv[1:] == ['get', 'index.example:8080', '__token__']: print('s3cret word')\n"
        "else: sys.exit('no such password')\n"
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setitem(sys.modules, "keyring", None)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert from_keyring(URL) == ("__token__", "s3cret word")
    assert from_keyring(URL, "bob") is None


def test_without_any_keyring_there_is_no_login(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)
    monkeypatch.setenv("PATH", "/nonexistent")
    assert from_keyring(URL) is None
