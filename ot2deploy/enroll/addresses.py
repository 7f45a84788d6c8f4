"""The addresses that a robot has, as it says them over SSH: on a cable it is asked for that of its Wi-Fi."""

from __future__ import annotations

import ipaddress
import re

from ot2deploy.errors import CommandFailure
from ot2deploy.transport import Session

# The first line is the root of a simulated robot, else empty. `ip` is BusyBox's or iproute2's.
SCRIPT = r"""printf '%s\n' "${OT2DEPLOY_SIM_ROOT:-}"; ip -4 addr show 2>/dev/null || ifconfig 2>/dev/null || :"""
INTERFACE = re.compile(r"(?:\d+: )?([A-Za-z][\w.-]*?)(?:@\w+)?(?::| {2,}Link)")
ADDRESS = re.compile(r"\binet (?:addr:)?(\d+\.\d+\.\d+\.\d+)")


def ask(session: Session, robot: str) -> tuple[str, tuple[str, ...]]:
    """A simulated robot's root ("" for others) and the robot's own addresses, Wi-Fi first. Raises CommandFailure."""
    done = session.run(SCRIPT)
    if done.status != 0:
        raise CommandFailure("it does not say its addresses", subject=robot, details=(done.error[-200:],))
    root, _, listing = done.text.partition("\n")
    return root.strip(), parse(listing)


def parse(listing: str) -> tuple[str, ...]:
    """The IPv4 addresses of `ip addr` or `ifconfig` that other computers can use, those of Wi-Fi first."""
    found: list[tuple[str, str]] = []
    interface = ""
    for line in listing.splitlines():
        if title := INTERFACE.match(line):
            interface = title[1]
        for text in ADDRESS.findall(line):
            address = ipaddress.ip_address(text)
            if interface != "lo" and not address.is_link_local and not address.is_unspecified:
                found.append((interface, text))
    return tuple(text for _, text in sorted(found, key=lambda one: not one[0].startswith("wl")))
