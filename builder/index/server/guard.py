"""Who may read what in a private index."""

from __future__ import annotations

import base64
import binascii

from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from builder.index.layout import METADATA, OWN, PROD, Branch
from builder.index.server.address import Address, Listing, Mirrored, Wheel
from builder.index.server.parts import NotAllowed, Readers
from builder.index.tree import Index


def secret(authorization: str) -> str:
    """The password of a Basic Authorization header, which is the token. Raises NotAllowed where there is none.

    The user name is not looked at; pip, uv and twine send `__token__`.
    """
    kind, _, value = authorization.partition(" ")
    try:
        user, colon, password = base64.b64decode(value.strip(), validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        user, colon, password = "", "", ""
    if kind.lower() != "basic" or not colon or not (user and password):
        raise NotAllowed("a token is needed: user name __token__, the token as password", known=False)
    return password


def let_in(index: Index, readers: Readers, address: Address, authorization: str) -> None:
    """Passes where the token of a request may read an address. Raises NotAllowed."""
    token = secret(authorization)
    match address:
        case Listing(branch=branch):
            readers.check(token, "read", branch)
        case Wheel(profile=profile, filename=filename):
            _let_at_wheel(index, readers, token, profile, filename)
        case Mirrored(profile=profile):
            _channels(index, readers, token, profile)
        case _:
            readers.check(token, "read", None)


def _let_at_wheel(index: Index, readers: Readers, token: str, profile: str, filename: str) -> None:
    """Wheels are shared by the channels of a profile: one that a token may read must have it."""
    if _is_told_by_own(index, readers, token, filename):
        return
    allowed = _channels(index, readers, token, profile)
    if len(allowed) == len(index.channels(profile)):
        return  # also what stands on no page any more, for whoever has it in a lock file
    wheel = filename.removesuffix(METADATA)
    try:
        name = parse_wheel_filename(wheel)[0]
    except InvalidWheelFilename:
        name = None
    if name is None or not any(index.page(branch, name).file(wheel) for branch in allowed):
        raise NotAllowed("this token does not read a channel that has this file", known=True)


def _is_told_by_own(index: Index, readers: Readers, token: str, filename: str) -> bool:
    """Whether a file is METADATA that an own page of the token's names, whose ever profile: resolvers read it there."""
    wheel = filename.removesuffix(METADATA)
    try:
        name = parse_wheel_filename(wheel)[0]
        allowed = _channels(index, readers, token, OWN) if wheel != filename else []
    except (InvalidWheelFilename, NotAllowed):
        return False
    return any(index.page(branch, name).file(wheel) for branch in allowed)


def _channels(index: Index, readers: Readers, token: str, profile: str) -> list[Branch]:
    """The profile's branches that a token may read; never none."""
    allowed = []
    refusal: NotAllowed | None = None
    for channel in index.channels(profile) or (PROD,):
        branch = Branch(profile=profile, channel=channel)
        try:
            readers.check(token, "read", branch)
            allowed.append(branch)
        except NotAllowed as refused:
            refusal = refused
    if refusal and not allowed:
        raise refusal
    return allowed
