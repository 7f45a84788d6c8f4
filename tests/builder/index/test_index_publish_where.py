"""What a TARGET of `index publish` means."""

from __future__ import annotations

from pathlib import Path

import pytest

from builder.errors import UsageFailure
from builder.index.publish import rsync
from builder.index.publish.daemon import Daemon
from builder.index.publish.directory import Directory
from builder.index.publish.ssh import Host, Ssh
from builder.index.publish.where import place

INDEX = Path("/nowhere/index")


@pytest.mark.parametrize(
    ("text", "host", "directory", "port"),
    [
        ("server:/srv/www", "server", "/srv/www", 0),
        ("me@server:wheels", "me@server", "wheels", 0),
        ("server:~/wheels", "server", "wheels", 0),
        ("server:", "server", ".", 0),
        ("[::1]:/srv", "::1", "/srv", 0),
        ("ssh://me@server:2222/srv/my%20wheels", "me@server", "/srv/my wheels", 2222),
        ("ssh://server/~/wheels", "server", "wheels", 0),
    ],
)
def test_a_computer_behind_ssh(text, host, directory, port):
    found = place(text, INDEX)
    assert isinstance(found, Ssh)
    assert found.host == Host(host=host, directory=directory, port=port)


def test_rsync_is_told_where_a_name_ends():
    assert Host(host="me@fe80::1", directory="/srv").for_rsync == "me@[fe80::1]:/srv"
    assert Host(host="me@server", directory="/srv").for_rsync == "me@server:/srv"


@pytest.mark.skipif(not rsync.usable(), reason="no rsync")
@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("rsync://server/module/path/", "rsync://server/module/path"),
        ("server::module/path", "rsync://server/module/path"),
        ("me@[::1]::module", "rsync://me@[::1]/module"),
    ],
)
def test_a_daemon(text, name):
    found = place(text, INDEX)
    assert isinstance(found, Daemon)
    assert found.name == name


def test_a_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for text in ("out", "./a:b", str(tmp_path / "x:y"), f"file://{tmp_path}/out"):
        assert isinstance(place(text, INDEX), Directory)
    assert place("out", INDEX).name == str(tmp_path / "out")
    (tmp_path / "file").touch()
    with pytest.raises(UsageFailure, match="not a directory"):
        place("file", INDEX)


def test_a_password_in_what_is_no_url_is_not_told():
    with pytest.raises(UsageFailure, match="is no URL") as caught:
        place("ssh://me:s3cret@h\u2100st/srv", INDEX)
    assert "s3cret" not in "".join(caught.value.lines())


@pytest.mark.parametrize(
    "text",
    ["s3://bucket", "https://server/", "-oProxyCommand=x:/tmp", "host:-x", "ssh://host:port/x", "rsync://server/"],
)
def test_what_is_no_place(text):
    with pytest.raises(UsageFailure):
        place(text, INDEX)
