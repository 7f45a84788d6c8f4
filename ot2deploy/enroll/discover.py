"""Who is there: robots on a USB cable, on the network by mDNS, at given addresses, and simulated ones."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from builder.errors import Failure
from builder.printable import one_line
from builder.run import run
from ot2deploy import fleet
from ot2deploy.inventory.settings import NAME, SETTINGS
from ot2deploy.project import Project
from ot2deploy.robots.api import About
from ot2deploy.robots.find import AT_ONCE, Place, ask, places

By = Literal["cable", "network", "simulated"]
HTTP_PORT: int = SETTINGS["http_port"].default  # type: ignore[assignment]
SSH_PORT: int = SETTINGS["port"].default  # type: ignore[assignment]
KIND = "_http._tcp.local."
MODEL = "robotModel"  # in what newer software says of itself by mDNS
MOST = 80  # letters of a name or version that are kept
SECONDS = 3.0  # mDNS answers within one; a robot that was asked while busy takes longer


@dataclass(frozen=True, kw_only=True)
class Seen:
    """A robot that answered: what it says of itself, where its SSH server is, and how it was reached.

    On a cable (a link-local address) and when simulated it takes a key; over the network it does not.
    """

    about: About
    port: int = SSH_PORT
    by: By = "network"

    @property
    def takes_keys(self) -> bool:
        """Whether its HTTP API lets us put a key on it."""
        return self.by != "network"

    def as_dict(self) -> dict[str, Any]:
        """The robot as JSON."""
        return {**self.about.as_dict(), "port": self.port, "by": self.by}


@dataclass(frozen=True, kw_only=True)
class Sight:
    """Every robot that answered, each once and those on a cable first; `notes` say what could not be asked."""

    robots: tuple[Seen, ...]
    notes: tuple[str, ...] = ()


def look(project: Project, addresses: str = "", *, port: int = SSH_PORT, seconds: float = SECONDS) -> Sight:
    """Looks at the addresses given (see `robots.find.places`), else at the cable and, by mDNS, the network.

    Where simulated robots of the project wait to be enrolled, they alone are the cable. `port` is that of the SSH
    servers. Raises UsageFailure for what is no address.
    """
    simulated = {place: ssh for ssh, place in _simulated(project)}
    if addresses:
        asked = places(addresses, HTTP_PORT, option="--address")
        return Sight(robots=_who(asked, port, simulated))
    if simulated:
        note = "Simulated robots wait to be enrolled: only they are looked at. (For another one: --address)"
        return Sight(robots=_who(simulated, port, simulated), notes=(note,))
    found, note = by_mdns(seconds)
    return Sight(robots=_who((*neighbours(), *found), port, {}), notes=(note,) if note else ())


def by_mdns(seconds: float, interfaces: Any = None) -> tuple[tuple[Place, ...], str]:
    """Where robots say by mDNS that they are, after so many seconds; and a note where it could not be asked."""
    try:
        import zeroconf
    except ImportError:
        return (), "The network was not asked by mDNS, which needs zeroconf. Run: pip install 'ot2deploy[lab]'"
    found: dict[Place, None] = {}
    quiet = threading.Event()

    def heard(name: str, **said: Any) -> None:
        info = said["zeroconf"].get_service_info(KIND, name, timeout=1000)
        if info is None or not (info.port == HTTP_PORT or MODEL in info.decoded_properties):
            return
        for address in info.parsed_addresses():
            if not address.startswith("fe80:"):  # needs an interface's name, which URLs have no room for
                found[Place(address=address, http_port=info.port or HTTP_PORT)] = None

    try:
        asker = zeroconf.Zeroconf(interfaces=interfaces or zeroconf.InterfaceChoice.All)
    except OSError as error:
        return (), f"The network was not asked by mDNS: {error.strerror or error}"
    with contextlib.closing(asker):
        zeroconf.ServiceBrowser(asker, KIND, handlers=[heard])
        quiet.wait(seconds)
    return tuple(found), ""


def neighbours() -> tuple[Place, ...]:
    """The link-local IPv4 addresses that this computer has heard of lately: what hangs on its cables."""
    try:
        listed = run(["ip", "-4", "-o", "neigh", "show"], timeout=10, check=False).stdout
    except Failure:  # no Linux; mDNS finds them there
        return ()
    words = [line.split() for line in listed.splitlines()]
    there = (line[0] for line in words if line and line[-1] not in ("FAILED", "INCOMPLETE") and is_link_local(line[0]))
    return tuple(Place(address=address, http_port=HTTP_PORT) for address in dict.fromkeys(there))


def is_link_local(address: str) -> bool:
    """Whether an address is one of those that a cable between two computers gives."""
    try:
        return ipaddress.ip_address(address.partition("%")[0]).is_link_local
    except ValueError:
        return False


def _simulated(project: Project) -> Iterator[tuple[int, Place]]:
    """SSH port and HTTP API of the project's simulated robots that wait to be enrolled."""
    from ot2deploy.sim.lab import place

    for robot in place(project).read().robots:
        if robot.cable:
            yield robot.port, Place(address="127.0.0.1", http_port=robot.http_port)


def _who(asked: Iterable[Place], port: int, simulated: Mapping[Place, int]) -> tuple[Seen, ...]:
    """Who answers; of several answers of one robot that on a cable."""
    found: dict[str, Seen] = {}
    every = list(dict.fromkeys(asked))
    for place, about in zip(every, fleet.each(every, _safe, jobs=AT_ONCE), strict=True):
        if about is None:
            continue
        by: By = "simulated" if place in simulated else "cable" if is_link_local(_address(place)) else "network"
        seen = Seen(about=about, port=simulated.get(place, port), by=by)
        before = found.get(about.serial)
        if before is None or (seen.takes_keys and not before.takes_keys):
            found[about.serial] = seen
    return tuple(sorted(found.values(), key=lambda seen: not seen.takes_keys))


def _safe(place: Place) -> About | None:
    """Who is there, if it has a serial number that can be kept."""
    about = ask(place)
    if about is None or not NAME.fullmatch(about.serial):
        return None
    return replace(about, name=one_line(about.name)[:MOST], software=one_line(about.software)[:MOST])


def _address(place: Place) -> str:
    """The number behind a name such as otto.local."""
    try:
        return socket.gethostbyname(place.address)
    except OSError:
        return place.address


Look = Callable[[], Sight]
