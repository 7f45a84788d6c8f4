"""What an upload asks for, by its address and its form. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches

from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename
from packaging.version import InvalidVersion, Version

from builder.errors import UsageFailure
from builder.index import layout
from builder.index.layout import HOST, PROD, Branch
from builder.index.server.parts import NotAllowed, Refused
from builder.index.tokens import Token
from builder.index.uploads.form import Form
from builder.profile import names

OWN_FIELD, PROFILE_FIELD = "ot2deploy-own", "ot2deploy-profile"  # of our own client only
DIGESTS = ("sha256_digest", "blake2_256_digest", "md5_digest")
KNOWN = frozenset((":action", "protocol_version", "filetype", "name", "version", *DIGESTS, OWN_FIELD, PROFILE_FIELD))


@dataclass(frozen=True, kw_only=True)
class Target:
    """Where a wheel is to go; with `every` all of the branches have to take it, else one suffices."""

    branches: tuple[Branch, ...]
    every: bool

    def for_token(self, token: Token) -> Target:
        """What of it a token is for. Raises NotAllowed where that is nothing, or less than has to be."""
        allowed = tuple(branch for branch in self.branches if not token.refusal(branch))
        refused = [branch for branch in self.branches if branch not in allowed]
        if refused and (self.every or not allowed):
            # Of branches that were not named, the reason of one that the token is nearly for.
            nearest = next((branch for branch in refused if branch.profile in token.profiles), refused[0])
            raise NotAllowed(token.refusal(refused[0] if self.every else nearest), known=True)
        return Target(branches=allowed, every=self.every)


def target(words: tuple[str, ...], open_to: tuple[str, ...] = ()) -> Target:
    """What stands before `legacy` in the address: nothing, a profile, a channel, or a profile and a channel.

    Where it names no profile the wheel is for those that are open to it, without any all of robots.
    Raises Refused for what can be none of them.
    """
    known = (*names(), HOST)
    first, *rest = words or (PROD,)
    if first in known:
        return _target((first,), rest[0] if rest else PROD, every=True)
    if rest:
        raise Refused(404, f"no profile is named {first}; there are {', '.join(names())}")
    if close := get_close_matches(first, known, 1, cutoff=0.75):
        there = ", ".join(known)
        raise Refused(404, f"no profile is named {first}; there are {there}. For a channel it is too like {close[0]}")
    return _target(open_to or tuple(names()), first, every=False)


def named(before: Target, form: Form) -> Target:
    """The target, less the profiles that the form does not name, where the address leaves them open. Raises Refused."""
    wanted = tuple(dict.fromkeys(form.fields.get(PROFILE_FIELD, ())))
    if before.every or not wanted:
        return before
    channel = before.branches[0].channel
    unknown = [name for name in wanted if name not in (*names(), HOST)]
    if unknown:
        raise Refused(400, f"no profile is named {unknown[0]}; there are {', '.join(names())}")
    return _target(wanted, channel, every=True)


def check(form: Form) -> None:
    """Passes a form that uploads a wheel, whole. Raises Refused."""
    if form.one(":action") != "file_upload" or form.one("protocol_version") not in ("", "1"):
        raise Refused(400, "only uploads of files are taken here (:action=file_upload, protocol_version=1)")
    if form.one("filetype") not in ("", "bdist_wheel"):
        raise Refused(400, "this index takes wheels only: robots never get an sdist")
    filename = form.file.path.name
    given = {name: form.one(name).lower() for name in DIGESTS if form.one(name)}
    if not given:
        raise Refused(400, f"{filename}: the upload names no digest, so nobody can tell whether it came whole")
    for name, digest in given.items():
        if digest != form.file.digests[name]:
            raise Refused(400, f"{filename}: what came does not have its {name}; it was damaged on the way")
    if not _is_named(filename, form.one("name"), form.one("version")):
        raise Refused(400, f"{filename} is not of {form.one('name')[:80]} {form.one('version')[:80]}, as the form says")


def is_own(form: Form) -> bool:
    """Whether the project is the lab's own: the rule, unless our own client says otherwise."""
    return form.one(OWN_FIELD) != "false"


def _target(profiles: tuple[str, ...], channel: str, *, every: bool) -> Target:
    try:
        layout.channel(channel)
    except UsageFailure as failure:
        raise Refused(404, f"{failure.what}. {failure.why}") from failure
    return Target(branches=tuple(Branch(profile=name, channel=channel) for name in profiles), every=every)


def _is_named(filename: str, name: str, version: str) -> bool:
    """Whether a wheel's name is that of a project and a version, where they are given."""
    try:
        found = parse_wheel_filename(filename)
        return (not name or found[0] == canonicalize_name(name)) and (not version or found[1] == Version(version))
    except InvalidWheelFilename:
        return True  # the audit says it better
    except InvalidVersion:
        return False
