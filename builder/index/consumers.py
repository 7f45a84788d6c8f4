"""What pip, uv, ot2deploy and a robot have to be told to use an index, as texts without a secret. Pure."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from builder.environment import PROFILE
from builder.errors import UsageFailure
from builder.fetch import login_of, public, split
from builder.index.layout import OWN, PROD, SIMPLE, Branch
from builder.index_entries import VARIABLE
from builder.logins import TOKEN_USER

AUTHS = ("keyring", "netrc", "none")
NAME = "lab"
HERE = ("localhost", "127.0.0.1", "::1")  # pip trusts these over plain http


@dataclass(frozen=True, kw_only=True)
class Place:
    """An index as others reach it.

    `root` is the URL of its root, without a slash at the end and without a login; `auth` says where they have their
    token from, one of AUTHS; `user` is the name that goes with it.
    """

    root: str
    channel: str = PROD
    auth: str = "none"
    user: str = TOKEN_USER

    def branch(self, profile: str) -> str:
        """The URL of a branch. With a keyring it has the user's name, by which pip and uv look there."""
        url = f"{self.root}/{Branch(profile=profile, channel=self.channel).simple}/"
        return url.replace("://", f"://{self.user}@", 1) if self.auth == "keyring" else url

    @property
    def host(self) -> str:
        """The host with its port, the name of a keyring's service; empty for a directory."""
        return urlsplit(self.root).netloc

    @property
    def untrusted(self) -> str:
        """The host, where pip would refuse it: it is reached without TLS."""
        parts = urlsplit(self.root)
        return parts.netloc if parts.scheme == "http" and parts.hostname not in HERE else ""


@dataclass(frozen=True, kw_only=True)
class Text:
    """Some lines and where they belong; `format` is one of FORMATS, `profile` that of a robot where it matters."""

    format: str
    where: str
    text: str
    profile: str = ""


def place(url: str, *, channel: str = PROD, auth: str = "none") -> Place:
    """The index at a root URL. Raises UsageFailure for a password in it, and for what is no root."""
    parts = split(url)
    user, password = login_of(url) or ("", "")
    if password:
        raise UsageFailure(
            f"the URL {public(url)} holds a password",
            why="It would stand in files that are read, copied and committed by others.",
            next=f"Keep it in the keyring: keyring set {urlsplit(public(url)).netloc} {user or TOKEN_USER}   "
            f"(or in ~/.netrc: {_netrc_line(parts.hostname or '', user or TOKEN_USER)}), and give the URL without it, "
            "with --auth keyring or --auth netrc.",
        )
    if parts.scheme not in ("http", "https", "file"):
        raise UsageFailure(f"{public(url)} is no URL", next="Write http://HOST:PORT, https://... or file:///DIRECTORY.")
    root = public(url).rstrip("/")
    if PROFILE in root or root.endswith(f"/{SIMPLE}"):
        raise UsageFailure(
            f"{public(url)} is the URL of a branch", next="Give that of the index: the part before the profile."
        )
    auth = "none" if parts.scheme == "file" else auth  # whoever may read the directory may read the index
    return Place(root=root, channel=channel, auth=auth, user=user or TOKEN_USER)


def pip_conf(at: Place, profile: str) -> str:
    """pip.conf (pip.ini on Windows) for a profile's branch, and nothing else beside it."""
    lines = [f"# wheels for {profile} from {at.root}, and from nowhere else", "[global]"]
    lines += [f"index-url = {at.branch(profile)}"]
    lines += [f"trusted-host = {at.untrusted}"] if at.untrusted else []
    return _joined(lines)


def uv_toml(at: Place) -> str:
    """uv.toml for a computer: the lab's own projects from the lab, everything else as before."""
    lines = ["# the lab's own projects; a name that is there is looked up nowhere else"]
    lines += ['keyring-provider = "subprocess"', ""] if at.auth == "keyring" else []
    lines += ["[[index]]", f'name = "{NAME}"', f"url = {json.dumps(at.branch(OWN))}"]
    lines += ["# of any age, where `exclude-newer` is set; read by uv 0.11.6 and newer", "exclude-newer = false"]
    lines += ['authenticate = "always"'] if at.auth != "none" else []
    return _joined(lines)


def project_yaml(at: Place) -> str:
    """The lines for ot2deploy.yaml; a profile's branch is chosen when its wheels are."""
    url = json.dumps(at.branch(PROFILE))  # a string of JSON is one of YAML
    return _joined(["indexes:", f"  - name: {NAME}", f"    url: {url}"])


def variables(at: Place, profile: str) -> str:
    """Lines for a shell or a CI: the same for one command, without a file."""
    exported = {
        VARIABLE: at.branch(PROFILE),
        "UV_INDEX": f"{NAME}={at.branch(OWN)}",
        **({"UV_KEYRING_PROVIDER": "subprocess"} if at.auth == "keyring" else {}),
    }
    for_pip = {"PIP_INDEX_URL": at.branch(profile), **({"PIP_TRUSTED_HOST": at.untrusted} if at.untrusted else {})}
    return _joined(
        [
            *(f"export {_assigned(one)}" for one in exported.items()),
            "# pip, in front of one command: exported, it would be uv's and ot2deploy's index of public projects, too",
            f"{' '.join(map(_assigned, for_pip.items()))} python3 -m pip download --no-deps NAME",
        ]
    )


def _assigned(pair: tuple[str, str]) -> str:
    return f"{pair[0]}={shlex.quote(pair[1])}"


def robot_command(at: Place, profile: str) -> str:
    """One line that installs a project on a robot, with its own pip.

    Its /etc/pip.conf, which sends everything to /var/user-packages, goes on counting. It has no keyring: pip asks for
    the token, on a terminal.
    """
    trust = f" --trusted-host {at.untrusted}" if at.untrusted else ""
    url = at.branch(profile)
    pip = f"python3 -m pip install --only-binary :all: --index-url {url}{trust} NAME==VERSION"
    note = "# beside the robot's own packages, unverified and without a way back; `ot2deploy push` has all three"
    here = f"# {_hostname(at)} is the robot itself there: give the address that this computer has for robots"
    notes = [note, here] if _hostname(at) in HERE else [note]
    return _joined([*notes, f"ssh{'' if at.auth == 'none' else ' -t'} root@ROBOT {shlex.quote(pip)}"])


def login_lines(at: Place) -> str:
    """How a person gives the token to this computer, once."""
    if at.auth == "keyring":
        return _joined([f"keyring set {shlex.quote(at.host)} {shlex.quote(at.user)}    # it asks for the token"])
    return _joined(["# in ~/.netrc, which only you may read: chmod 600 ~/.netrc", _netrc_line(_hostname(at), at.user)])


FORMATS = ("pip", "uv", "ot2deploy", "env", "robot", "all")


def texts(at: Place, profiles: Sequence[str], wanted: str) -> tuple[Text, ...]:
    """The texts of one format or of all, one for each profile where that makes a difference."""
    return tuple(text for text in _all(at, profiles) if wanted in (text.format, "all"))


def _all(at: Place, profiles: Sequence[str]) -> Iterator[Text]:
    if at.auth != "none":
        yield Text(format="login", where="once on this computer", text=login_lines(at))
    yield Text(format="ot2deploy", where="ot2deploy.yaml of a project", text=project_yaml(at))
    yield Text(format="uv", where="~/.config/uv/uv.toml, or uv.toml beside a project", text=uv_toml(at))
    each: tuple[tuple[str, str, Callable[[Place, str], str]], ...] = (
        ("pip", "pip.conf (where: pip config debug)", pip_conf),
        ("env", "a shell or CI", variables),
        ("robot", "a command", robot_command),
    )
    for name, where, make in each:
        for profile in profiles:
            yield Text(format=name, where=where, text=make(at, profile), profile=profile)


def _netrc_line(host: str, user: str) -> str:
    return f"machine {host} login {user} password TOKEN"


def _hostname(at: Place) -> str:
    return urlsplit(at.root).hostname or ""


def _joined(lines: Sequence[str]) -> str:
    return "".join(f"{line}\n" for line in lines)
