"""Tokens of an index: what each allows, and that nothing but its digest is kept."""

from __future__ import annotations

import json
import os
import re
import stat
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from builder.errors import BuildFailure, UsageFailure
from builder.files import sha256_bytes, write_json
from builder.index.layout import OWN, Branch
from builder.index.server.parts import NotAllowed
from builder.index.tokens import SECRET, TOKENS, Tokens

DAY = timedelta(days=1)
PROD, DEV = Branch(profile="ot2-py310"), Branch(profile="ot2-py310", channel="dev")
OTHER = Branch(profile="ot2-py312")


@pytest.fixture
def tokens(tmp_path: Path) -> Tokens:
    return Tokens(tmp_path / "index" / TOKENS)


def edit(tokens: Tokens, name: str, **values: object) -> None:
    """What time would do to a token."""
    data = json.loads(tokens.path.read_bytes())
    for row in data["tokens"]:
        if row["name"] == name:
            row.update(values)
    write_json(tokens.path, data, mode=0o600)


def test_a_token_allows_its_scope_and_nothing_else(tokens: Tokens) -> None:
    _, upload = tokens.create("ci", ["upload"], lasts=DAY)
    _, read = tokens.create("robots", ["read"], lasts=DAY)
    _, both = tokens.create("both", ["upload", "read"], lasts=None)
    assert tokens.check(upload, "upload", PROD).name == "ci"
    assert tokens.check(both, "read").name == tokens.check(both, "upload").name == "both"
    with pytest.raises(NotAllowed, match="token ci may upload, not read"):
        tokens.check(upload, "read")
    with pytest.raises(NotAllowed, match="token robots may read, not upload"):
        tokens.check(read, "upload", PROD)


def test_a_token_may_be_for_some_profiles_and_channels_only(tokens: Tokens) -> None:
    _, text = tokens.create("ci", ["upload"], lasts=DAY, profiles=["ot2-py310"], channels=["dev"])
    assert tokens.check(text, "upload", DEV).name == "ci"
    with pytest.raises(NotAllowed, match="for the channel dev only"):
        tokens.check(text, "upload", PROD)
    with pytest.raises(NotAllowed, match="for the profile ot2-py310 only"):
        tokens.check(text, "upload", replace(OTHER, channel="dev"))
    with pytest.raises(NotAllowed, match="for the profile ot2-py310 only"):
        tokens.check(text, "upload", Branch(profile=OWN, channel="dev"))  # it lists the files of all profiles


def test_only_a_digest_is_kept_where_the_owner_alone_can_read_it(tokens: Tokens) -> None:
    token, text = tokens.create("ci", ["upload"], lasts=DAY)
    assert SECRET.fullmatch(text)
    kept = tokens.path.read_text()
    assert token.digest == sha256_bytes(text.encode())
    assert text not in kept
    assert text.rpartition("_")[2] not in kept
    assert "digest" not in token.as_dict()
    if os.name == "posix":
        assert stat.S_IMODE(tokens.path.stat().st_mode) == 0o600
        assert stat.S_IMODE(tokens.path.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize("text", ["", "x", "ot2_0123456789abcdef_" + "0" * 64, "ä" * 500, "ot2_" + "f" * 16 + "_\n"])
def test_a_text_that_nobody_was_given_is_unknown(tokens: Tokens, text: str) -> None:
    tokens.create("ci", ["upload"], lasts=DAY)
    with pytest.raises(NotAllowed, match="not known here") as error:
        tokens.check(text, "upload", PROD)
    assert not error.value.known
    assert not text or text not in "\n".join(error.value.lines())


def test_the_id_of_a_token_is_not_its_secret(tokens: Tokens) -> None:
    token, _ = tokens.create("ci", ["upload"], lasts=DAY)
    with pytest.raises(NotAllowed, match="not known here"):
        tokens.check(f"ot2_{token.id}_{'0' * 64}", "upload")


def test_an_expired_token_is_refused_in_plain_words_and_its_name_is_free_again(tokens: Tokens) -> None:
    _, text = tokens.create("ci", ["upload"], lasts=DAY)
    edit(tokens, "ci", expires="2026-01-02T03:04:05Z")
    with pytest.raises(NotAllowed, match="token ci has expired since 2026-01-02T03:04:05Z"):
        tokens.check(text, "upload", PROD)
    assert [token.state() for token in tokens.known()] == ["expired"]
    _, again = tokens.create("ci", ["upload"], lasts=DAY)
    assert tokens.check(again, "upload").state() == "good"


def test_a_token_ends_when_it_is_said_and_not_before(tokens: Tokens) -> None:
    token, _ = tokens.create("ci", ["upload"], lasts=DAY)
    end = datetime.strptime(token.expires, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    assert token.state(end - timedelta(seconds=1)) == "good"
    assert token.state(end) == "expired"


def test_a_revoked_token_is_refused_at_once(tokens: Tokens) -> None:
    token, text = tokens.create("ci", ["upload"], lasts=None)
    ended, changed = Tokens(tokens.path).revoke("ci")
    assert changed
    with pytest.raises(NotAllowed, match=f"token ci is revoked since {ended.revoked}"):
        tokens.check(text, "upload", PROD)
    assert tokens.revoke(token.id) == (ended, False)
    with pytest.raises(UsageFailure, match="there is no token cd"):
        tokens.revoke("cd")


def test_one_name_is_one_good_token(tokens: Tokens) -> None:
    tokens.create("ci", ["upload"], lasts=DAY)
    with pytest.raises(UsageFailure, match="there is a token ci"):
        tokens.create("ci", ["read"], lasts=DAY)
    with pytest.raises(UsageFailure, match="is no name of a token"):
        tokens.create("../ci", ["read"], lasts=DAY)
    assert len(tokens.known()) == 1


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"schema": 1, "tokens": [{}]}', b'{"schema": 1, "tokens": 3}'])
def test_a_damaged_file_is_one_clear_error_and_stays(tokens: Tokens, data: bytes) -> None:
    tokens.path.parent.mkdir(parents=True)
    tokens.path.write_bytes(data)
    for ask in (tokens.known, lambda: tokens.check("x", "read"), lambda: tokens.create("ci", ["read"], lasts=DAY)):
        with pytest.raises(BuildFailure, match=re.escape(str(tokens.path))):
            ask()
    assert tokens.path.read_bytes() == data


def test_a_newer_file_is_left_alone(tokens: Tokens) -> None:
    write_json(tokens.path, {"schema": 2, "tokens": []})
    with pytest.raises(BuildFailure, match="newer"):
        tokens.create("ci", ["read"], lasts=DAY)


def test_tokens_made_at_once_are_all_there(tokens: Tokens) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda n: tokens.create(f"ci{n}", ["upload"], lasts=DAY), range(16)))
    assert sorted(token.name for token in tokens.known()) == sorted(token.name for token, _ in made)
    assert all(tokens.check(text, "upload") == token for token, text in made)
