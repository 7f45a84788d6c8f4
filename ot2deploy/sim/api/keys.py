"""The routes for SSH keys, as update-server has them for robots on a cable."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any

from ot2deploy.sim.api.parts import Answer, Api, Request

ALLOWED_KEYS = re.compile(r"ssh-rsa$|ecdsa")  # the real one rejects ed25519, too


def keys(api: Api, request: Request, digest: str | None = None) -> Answer:
    """GET, POST and DELETE /server/ssh_keys[/MD5]: as by cable; over a network the real one answers 403."""
    text = api.machine.read_keys()
    if text is None:
        message = f"The endpoint {request.path} can only be used from link-local connections."
        return Answer(status=403, body={"error": "bad-interface", "message": message})
    there = {hashlib.md5(line.encode()).hexdigest(): line for line in text.splitlines() if line.strip()}
    if request.method == "GET":
        return Answer(status=200, body={"public_keys": [{"key_md5": md5, "key": key} for md5, key in there.items()]})
    if request.method == "POST":
        return add_key(api, there, request.json().get("key"))
    if digest and digest not in there:
        return Answer(status=404, body={"error": "invalid-key-hash", "message": f"No such key md5 {digest}"})
    kept = [line for md5, line in there.items() if digest and md5 != digest]
    api.machine.write_keys("".join(f"{line}\n" for line in kept))
    message = f"{f'Key {digest} deleted' if digest else 'Keys cleared'}. Restart robot to take effect"
    return Answer(status=200, body={"message": message, "restart_url": "/server/restart"})


def add_key(api: Api, there: Mapping[str, str], key: Any) -> Answer:
    """Accepts one ssh-rsa or ecdsa key."""
    if not isinstance(key, str):
        return Answer(status=400, body={"error": "no-key", "message": 'No "key" element in body'})
    words = key.split()
    problem = "Key is empty" if not words else "Key has a newline" if "\n" in key[:-1] else ""
    if words and not ALLOWED_KEYS.match(words[0]):
        problem = f"Key starts with invalid algorithm {words[0]}"
    if problem:
        return Answer(status=400, body={"error": "bad-key", "message": problem})
    line = key.removesuffix("\n")
    digest = hashlib.md5(line.encode()).hexdigest()
    if digest not in there:
        api.machine.write_keys("".join(f"{text}\n" for text in (*there.values(), line)))
    return Answer(status=201, body={"message": f"Added key {digest}", "key_md5": digest})
