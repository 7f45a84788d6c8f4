"""What is written down for an index's users, read by the programs that it is for."""

from __future__ import annotations

import configparser
import os
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from loopback_index import JUST_NOW, fill, serving

from builder import uv as uv_module
from builder.errors import UsageFailure
from builder.index import consumers
from builder.index.consumers import FORMATS, place, texts

PRIVATE, NATIVE = "private-1.0-py3-none-any.whl", "demo-1.0-cp310-cp310-linux_armv7l.whl"
PROFILES = ("ot2-py310", "ot2-py312")
ROOT = "http://index.example:8080"


@pytest.fixture
def index(tmp_path):
    """An index in a directory with a space in its name, served; a private project and a public one's wheel."""
    fill(tmp_path / "my index", {"ot2-py310": [PRIVATE, NATIVE]}, own=["private"], uploaded=JUST_NOW)
    with serving(tmp_path) as served:
        served.url += "/my%20index"
        yield served


def text(at, name: str) -> str:
    (found,) = texts(at, ["ot2-py310"], name)
    return found.text


def test_the_files_can_be_read_by_what_reads_them():
    at = place(f"{ROOT}/", channel="dev")
    conf = configparser.RawConfigParser()
    conf.read_string(text(at, "pip"))
    assert dict(conf["global"]) == {
        "index-url": f"{ROOT}/ot2-py310/dev/simple/",
        "trusted-host": "index.example:8080",
    }
    (table,) = tomllib.loads(text(at, "uv"))["index"]
    assert table == {"name": "lab", "url": f"{ROOT}/own/dev/simple/", "exclude-newer": False}
    assert "{profile}/dev/simple/" in text(at, "ot2deploy")


def test_only_hosts_without_tls_are_named_as_trusted():
    assert "trusted" not in text(place("https://index.example"), "pip") + text(place("http://localhost:1"), "robot")
    assert "--trusted-host index.example:8080" in text(place(ROOT), "robot")


def test_a_robot_is_not_sent_to_itself_without_a_word():
    assert "127.0.0.1 is the robot itself" in text(place("http://127.0.0.1:8080"), "robot")
    assert "the robot itself" not in text(place(ROOT), "robot")


@pytest.mark.parametrize("name", FORMATS)
def test_no_text_holds_more_than_the_name_of_a_user(name):
    at = place(ROOT.replace("://", "://bob@"), auth="keyring")
    found = texts(at, PROFILES, name)
    assert all("bob@index.example" in one.text or one.format == "login" for one in found)
    assert {one.profile for one in found if one.format == "pip"} in (set(PROFILES), set())


def test_where_the_token_is_kept():
    assert text(place(ROOT, auth="keyring"), "login").startswith("keyring set index.example:8080 __token__ ")
    assert "machine index.example login __token__ password TOKEN" in text(place(ROOT, auth="netrc"), "login")
    assert tomllib.loads(text(place(ROOT, auth="netrc"), "uv"))["index"][0]["authenticate"] == "always"
    assert tomllib.loads(text(place(ROOT, auth="keyring"), "uv"))["keyring-provider"] == "subprocess"
    assert "-t root@ROBOT" in text(place(ROOT, auth="netrc"), "robot")
    assert [one.format for one in texts(place("file:///media/usb", auth="keyring"), PROFILES, "login")] == []


@pytest.mark.parametrize(
    ("url", "what"),
    [
        ("http://bob:s3cret@index.example/", "holds a password"),
        ("index.example:8080", "is no URL"),
        ("http://index.example/{profile}/simple/", "URL of a branch"),
        ("http://index.example/ot2-py310/simple", "URL of a branch"),
        ("http://[index.example/", "is no URL"),
        ("http://index.example:port/", "is no URL"),
        ("http://bob:s3cret@index.ex\u2100mple/?s3cret", "is no URL"),
    ],
)
def test_what_is_no_address_of_an_index_is_refused(url, what):
    with pytest.raises(UsageFailure, match=what) as caught:
        place(url)
    assert "s3cret" not in "".join(caught.value.lines())
    assert caught.value.next


def pip(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pip", *words], env={**os.environ, **variables}, capture_output=True, text=True,
        timeout=120, check=False,
    )  # fmt: skip


@pytest.fixture
def no_other_index(monkeypatch):
    for name in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "UV_INDEX", "UV_DEFAULT_INDEX", "PIP_FIND_LINKS"):
        monkeypatch.delenv(name, raising=False)


DOWNLOAD = ("download", "--no-deps", "--only-binary", ":all:", "--platform", "linux_armv7l", "--python-version", "3.10")


def test_pip_takes_a_robots_wheels_with_it(index, tmp_path, no_other_index):
    conf = tmp_path / "pip.conf"
    conf.write_text(text(place(index.url), "pip"))
    seen = pip("config", "debug", PIP_CONFIG_FILE=str(conf))
    assert f"global.index-url: {index.url}/ot2-py310/simple/" in seen.stdout, seen.stderr
    got = pip(*DOWNLOAD, "-d", str(tmp_path / "got"), "demo", "private", PIP_CONFIG_FILE=str(conf))
    assert got.returncode == 0, got.stderr
    assert sorted(path.name for path in (tmp_path / "got").iterdir()) == [NATIVE, PRIVATE]


def test_pip_takes_them_from_a_directory_too(tmp_path, index, no_other_index):
    conf = tmp_path / "pip.conf"
    conf.write_text(text(place((tmp_path / "my index").as_uri()), "pip"))
    got = pip(*DOWNLOAD, "-d", str(tmp_path / "got"), "demo", PIP_CONFIG_FILE=str(conf))
    assert got.returncode == 0, got.stderr


@pytest.fixture
def keyring(tmp_path, index, monkeypatch):
    """The index asks for a token, and a program named keyring has it, in the old and in the new form of its answers."""
    index.login = ("__token__", "s3cret")
    asked = f"get {index.url.removeprefix('http://').partition('/')[0]} __token__"
    program = tmp_path / "bin" / "keyring"
    program.parent.mkdir()
    creds = '{"username": "__token__", "password": "s3cret"}'
    program.write_text(
        f"""#!/bin/sh
case "$*" in
"{asked}") echo s3cret ;;
"--mode=creds --output=json {asked}") echo '{creds}' ;;
*) exit 1 ;;
esac
"""
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")


def test_pip_asks_the_keyring_for_the_token(tmp_path, index, no_other_index, keyring):
    conf = tmp_path / "pip.conf"
    conf.write_text(text(place(index.url, auth="keyring"), "pip"))
    words = [*DOWNLOAD, "--keyring-provider", "subprocess", "-d", str(tmp_path / "got"), "demo"]
    got = pip(*words, PIP_CONFIG_FILE=str(conf))
    assert got.returncode == 0, got.stderr


def uv(tmp_path, *words: str) -> str:
    """What uv resolves `private` to, with a uv.toml in its directory."""
    (tmp_path / "requirements.in").write_text("private\n")
    done = subprocess.run(
        [uv_module.find().program, "pip", "compile", "requirements.in", *words],
        cwd=tmp_path, env={**os.environ, "UV_CACHE_DIR": str(tmp_path / "cache")}, capture_output=True, text=True,
        timeout=120, check=False,
    )  # fmt: skip
    return done.stdout + done.stderr


def test_uv_asks_the_keyring_for_the_token(tmp_path, index, no_other_index, keyring):
    (tmp_path / "uv.toml").write_text(text(place(index.url, auth="keyring"), "uv"))
    assert "private==1.0" in uv(tmp_path)


def test_uv_resolves_the_labs_own_projects_with_it(index, tmp_path, no_other_index):
    (tmp_path / "uv.toml").write_text(text(place(index.url), "uv"))
    assert "private==1.0" in uv(tmp_path, "--exclude-newer", "2020-01-01")


def test_a_shell_reads_the_variables(index, tmp_path):
    lines = text(place(index.url, auth="keyring"), "env")
    done = subprocess.run(
        ["sh", "-e", "-c", f"python3() {{ env; }}\n{lines}"], capture_output=True, text=True, timeout=20, check=True
    )
    found = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
    login = index.url.replace("://", "://__token__@")
    assert found["OT2DEPLOY_INDEX"] == f"{login}/{{profile}}/simple/"
    assert found["UV_INDEX"] == f"lab={login}/own/simple/"
    assert found["PIP_INDEX_URL"] == f"{login}/ot2-py310/simple/"


def test_the_robots_line_is_one_that_its_pip_reads(index, tmp_path, no_other_index):
    """Run here instead of there: the words after `ssh root@ROBOT`, as the robot's shell gets them."""
    at = place(index.url)
    words = shlex.split(text(at, "robot").splitlines()[-1])
    assert words[:2] == ["ssh", "root@ROBOT"]
    asked = shlex.split(words[2].replace("NAME==VERSION", "private==1.0"))
    assert asked[:4] == ["python3", "-m", "pip", "install"]
    conf = tmp_path / "pip.conf"
    conf.write_text(f"[install]\nroot = {tmp_path / 'user-packages'}\n")
    done = pip(*asked[3:], PIP_CONFIG_FILE=str(conf))
    assert done.returncode == 0, done.stderr
    assert list(Path(tmp_path / "user-packages").rglob("private/__init__.py"))


def test_a_tree_of_formats_that_the_command_offers():
    from ot2deploy.cli import index_config

    assert index_config.FORMATS == consumers.FORMATS
    assert index_config.AUTHS == consumers.AUTHS
