"""Random and malformed requests for a server of an index: the same seed makes the same ones."""

from __future__ import annotations

import base64
import random

from served_index import DEMO

WORDS = (
    "ot2-py310", "ot2-py312", "own", "dev", "prod", "simple", "files", "legacy", "mirror", "demo", "Demo", "de.mo",
    DEMO, f"{DEMO}.metadata", "index.html", "index.json", ".lock", "..", ".", "", "marker", "-", "health", "ready",
    "0" * 64, "%2e%2e", "%252e%252e", "..%2f..", "..%5c..", "%00", "%", "%zz", "%ff%fe", "%c0%ae%c0%ae", "a" * 300,
    "inventory.yaml", ".ot2deploy", "tokens.json", "con", "*", "~root", "$HOME", "{7*7}", "'\"<>", "\u00e9",
    "\\..\\..", "etc", "passwd", ";x=1",
)  # fmt: skip
GOOD = (
    "/", "/-/health", "/ot2-py310/simple/", "/ot2-py310/simple/demo/", "/ot2-py310/simple/De.mo", "/own/simple/demo/",
    "/ot2-py310/dev/simple/demo/", f"/ot2-py310/files/{DEMO}", f"/ot2-py310/files/{DEMO}.metadata",
)  # fmt: skip
QUERIES = ("", "", "", "", "", "?format=text/html", f"?format={'x' * 50}", "?a=%0d%0aSet-Cookie:x", "??", "#a")
METHODS = (
    *("GET",) * 9, "HEAD", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PRI", "get", "X" * 90,
)  # fmt: skip
RANGES = (
    "bytes=0-", "bytes=-1", "bytes=2-5", "bytes=5-2", "bytes=0-0,2-3", "bytes=99999-", "bytes=999999999999999999999-",
    "bytes=--1", "bytes", "x=1",
)  # fmt: skip
ACCEPTS = (
    "application/vnd.pypi.simple.v1+json", "application/vnd.pypi.simple.v1+html;q=0.2", "text/html", "*/*",
    "text/*;q=0", "image/png", "application/vnd.pypi.simple.v9+json", "q=1;;;,,/", "text/html;q=-1", "*/*;q=1e9",
    "a/b;" * 50, "application/json",
)  # fmt: skip
HOSTS = ("index.example", "index.example", "127.0.0.1:8080", "", "[::1", "[", "a:b:c", "x@y", "http://x/", "\xe9", "..")
KNOWN = ("*", '"x"', "W/", ",,", '"' * 99)
DAYS = ("never", "Sat, 21 Nov 2026 00:00:00 GMT", "")
PLACES = ("", "ot2-py310/", "ot2-py310/dev/", "dev/", "own/", "nothing/", "../", "ot2-py310/simple/")
FIELDS = (":action", "protocol_version", "content", "name", "version", "sha256_digest", "", "a" * 200, 'x"y')
VALUES = ("file_upload", "1", "demo", "\x00", "0" * 64, "\u00e9" * 20, "../../marker", "")
INSERTED = (b"\r\n", b"\x00", b"\n\n", b": ", b"\xff", b" HTTP/1.1\r\n")
END = b" HTTP/1.1\r\nHost: x\r\n"
UP = b"POST /legacy/" + END
# What broke other servers.
TRAPS = (
    b"GET / HTTP/1.1\r\n\r\n", b"GET /\r\n\r\n", b"GET / HTTP/9.9\r\nHost: x\r\n\r\n", b"\r\n\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"GET http://index.example/../marker" + END + b"\r\n",
    UP + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /marker" + END + b"\r\n",
    UP + b"Content-Length: -5\r\n\r\n", UP + b"Content-Length: 99999999999999999999\r\n\r\nabc",
    UP + b"Transfer-Encoding: chunked\r\n\r\nfffffffffffffff\r\nabc",
    UP + b"Expect: 200-maybe\r\n\r\n", UP + b"Expect: 100-continue\r\n\r\n",
    b"GET /" + END + b"Host: y\r\n\r\n", b"GET /" + END + b" folded: y\r\n\r\n",
    b"GET /" + END + b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: x\r\n\r\n",
    b"GET /" + END + b"X: " + b"a" * 70_000 + b"\r\n\r\n", b"GET /" + b"a" * 70_000 + END + b"\r\n",
    b"GET /" + END + b"a: b\r\n" * 3_000 + b"\r\n", (b"GET /" + END + b"\r\n") * 40,
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
)  # fmt: skip

Request = tuple[bytes, bool]  # what to send, and whether it is whole, so that it must be answered


class Fuzzer:
    """Makes requests. `secret` is a token that may upload."""

    def __init__(self, seed: int, secret: str) -> None:
        self.random = random.Random(seed)
        self.choice = self.random.choice
        self.secret = secret

    def request(self) -> Request:
        """The next one."""
        kinds = (self.odd, self.upload, self.broken, self.noise, self.traps)
        (make,) = self.random.choices(kinds, (6, 2, 2, 1, 1))
        return make()

    def odd(self) -> Request:
        """Well-formed, and strange."""
        body = self.random.randbytes(50) if self.maybe(0.2) else b""
        return self.whole(self.choice(METHODS), self.target(), self.headers(), body), True

    def upload(self) -> Request:
        """A form that is nearly one, or none."""
        boundary = self.choice(["x", "----b", "", "a" * 300, 'q"q'])
        form = "".join(self.part(boundary) for _ in range(self.random.randint(0, 8)))
        body = form + (f"--{boundary}--\r\n" if self.maybe(0.7) else "")
        kind = self.choice([f"multipart/form-data; boundary={boundary}", "multipart/form-data", "text/plain", ""])
        headers = [("Content-Type", kind), ("Authorization", self.login())]
        return self.whole("POST", f"/{self.choice(PLACES)}legacy/", headers, body.encode()), True

    def broken(self) -> Request:
        """A request of which bytes were changed, lost or doubled."""
        data = bytearray(self.choice([self.odd, self.upload])()[0])
        for _ in range(self.random.randint(1, 6)):
            at = self.random.randrange(len(data))
            match self.random.randrange(4):
                case 0:
                    data[at] = self.random.randrange(256)
                case 1:
                    del data[at : at + min(len(data) - 1, self.random.randint(1, 20))]
                case 2:
                    data[at:at] = self.choice(INSERTED)
                case 3:
                    data[at:at] = data[at : at + 40]
        return bytes(data), False

    def noise(self) -> Request:
        """No HTTP at all."""
        return self.random.randbytes(self.random.randint(1, 600)), False

    def traps(self) -> Request:
        """What broke other servers."""
        return self.choice(TRAPS), False

    def whole(self, method: str, target: str, headers: list[tuple[str, str]], body: bytes) -> bytes:
        """A request that ends its connection."""
        rows = [("Host", self.choice(HOSTS)), ("Connection", "close"), *headers]
        if body or method == "POST":
            rows.append(("Content-Length", str(len(body))))
        head = "".join(f"{name}: {value}\r\n" for name, value in rows)
        return f"{method} {target} HTTP/1.1\r\n{head}\r\n".encode("latin-1") + body

    def target(self) -> str:
        """An address, or known and hostile words in a row; sometimes with a query."""
        words = "/".join(self.word() for _ in range(self.random.randint(0, 6)))
        path = self.choice(GOOD) if self.maybe(0.5) else f"/{words}{self.choice(['', '/'])}"
        return "".join(one for one in path + self.choice(QUERIES) if " " < one < "\x7f")

    def word(self) -> str:
        """One word of a path, some of its letters percent-encoded."""
        word = self.choice(WORDS)
        if self.maybe(0.2):
            return "".join(f"%{ord(one) % 256:02x}" if self.maybe(0.4) else one for one in word)
        return word

    def headers(self) -> list[tuple[str, str]]:
        """Some of those that the server looks at."""
        found = [
            ("Range", self.choice(RANGES)),
            ("Accept", ", ".join(self.random.choices(ACCEPTS, k=self.random.randint(1, 4)))),
            ("If-None-Match", self.choice(KNOWN)),
            ("If-Range", self.choice((*KNOWN, *DAYS))),
            ("If-Modified-Since", self.choice(DAYS)),
            ("Authorization", self.login()),
            ("X-Forwarded-Prefix", "/../.."),
        ]
        return [one for one in found if self.maybe(0.2)]

    def login(self) -> str:
        """A good token, a bad one, or nonsense."""
        good = base64.b64encode(f"__token__:{self.secret}".encode()).decode()
        bad = base64.b64encode(self.random.randbytes(12)).decode()
        return self.choice([f"Basic {good}", f"Basic {bad}", "Basic", "Basic \xff", "Bearer x", "", "Digest a=b"])

    def part(self, boundary: str) -> str:
        """One field of a form."""
        filename = f'; filename="{self.word()}"' if self.maybe(0.3) else ""
        says = f'Content-Disposition: form-data; name="{self.choice(FIELDS)}"{filename}'
        return f"--{boundary}\r\n{says}\r\n\r\n{self.choice(VALUES)}\r\n"

    def maybe(self, chance: float) -> bool:
        """True with this chance."""
        return self.random.random() < chance
