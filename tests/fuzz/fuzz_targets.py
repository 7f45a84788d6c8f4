"""What is fuzzed: each target has inputs to begin with, a way to change them, and a run that raises if it fails."""

from __future__ import annotations

import gzip
import io
import json
import os
import random
import re
import shutil
import sys
import tarfile
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import fuzz_mutators as mutators
from fuzz_guard import Guard

from builder.audit import audit
from builder.bundle import read, write
from builder.bundle.manifest import BundleFailure
from builder.errors import AuditFailure, Failure
from builder.files import sha256_bytes
from builder.profile import load
from builder.store import Store
from builder.wheel.file import WheelFile
from ot2deploy.agent import execute, fields, layout, session, tree_install
from ot2deploy.agent.refusal import Refusal
from ot2deploy.robots import state

BASE = "/var/ot2deploy"
PYTHON = "python%d.%d" % sys.version_info[:2]
TAR = "demo-1.0.tar.gz"
FAR = 64 << 10  # bytes an input has at most: what a pipe holds


class Failed(Exception):
    """The fuzzed code did what it must not."""


def expect(good: object, what: str) -> None:
    """Raises Failed unless it is good."""
    if not good:
        raise Failed(what)


class Target:
    """Something that reads what comes from outside."""

    change: ClassVar[Callable[[bytes, random.Random, mutators.Blind], bytes]]

    def __init__(self, place: Path, guard: Guard) -> None:
        self.place, self.guard = place, guard

    def seeds(self) -> list[bytes]:
        """Inputs that are all right, or nearly so."""
        raise NotImplementedError

    def run(self, data: bytes) -> str:
        """Runs one input; says in a word what became of it. Raises Failed or Violation."""
        raise NotImplementedError

    def fresh(self, name: str) -> Path:
        """An empty directory of this name."""
        shutil.rmtree(self.place / name, ignore_errors=True)
        (self.place / name).mkdir()
        return self.place / name


class Talk(session.Session):
    """A session whose host may go at any time without the process ending with it, as there are more inputs to come."""

    def _host_is_gone(self) -> None:
        return


class Conversations(Target):
    """Whole sessions with the agent: frames, requests, manifests, blobs."""

    change = staticmethod(mutators.frames)

    def seeds(self) -> list[bytes]:
        """Sessions that install, switch, look, remove, purge."""
        root, pack = str(self.place / "robot"), packed(plain_tar())
        begin = {
            "op": "begin", "protocol": 1, "base": BASE, "root": root, "run": "r1", "who": "a@b", "fingerprint": "f",
            "environment": "demo", "wait": False,
        }  # fmt: skip
        where = {"base": BASE, "root": root}
        wheel, sha256 = b"PK not a wheel", sha256_bytes(pack)
        row = {"name": "demo", "version": "1.0", "filename": "demo-1.0-py3-none-any.whl", "sha256": sha256_bytes(wheel)}
        manifest: dict[str, Any] = {
            "schema": 1, "layout": 1, "environment": "demo", "abi": "test", "profile": {"python": PYTHON[6:]},
            "variables": {"A": "b"}, "system_packages": False, "wheels": [row],
            "checks": {"quick": [{"kind": "import", "name": "x", "module": "demo", "timeout": 5}], "deep": []},
            "requirements": ["demo"], "as_of": "2025-04-20", "lock": "0" * 64, "install_method": None,
        }  # fmt: skip
        mutators.mend_manifest(manifest)
        this = {"environment": "demo", "digest": manifest["digest"]}
        send = {"op": "blob", "kind": "packs", "sha256": sha256, "size": len(pack), "filename": TAR, "offset": 0}
        install = {
            "op": "install",
            "manifest": manifest,
            "method": "tree",
            "packs": [{"sha256": sha256, "filename": TAR}],
        }
        check = {"op": "verify", **this, "checks": [], "deep": False, "fingerprint": "f"}
        unlock = {"op": "unlock", **where, "run": "r", "who": "", "force": True}
        made = [
            talk(begin, {"op": "need", "kind": "packs", "blobs": [send]}, send, pack, install, check),
            talk(begin, send, pack, install, check, {"op": "switch", **this}, {"op": "journal", "limit": 5}),
            *(
                talk(begin, send, pack, install, check, {"op": "switch", **this}, {"op": op, "environment": "demo"})
                for op in ("rollback", "remove")
            ),
            talk(begin, send, pack, install, {"op": "purge"}, begin),
            talk(begin, send, pack, install, {**check, "checks": None, "deep": True}, {**install, "method": "pip"}),
            talk(begin, {**send, "offset": 3}, pack[3:], send, pack[:9], b"H", send, pack),
            talk(begin, {"op": "record", "line": {"op": "push", "environment": "demo", "result": "failed"}}),
            talk({"op": "journal", "limit": 3, **where}, unlock),
            b"J 2\n{}J 4\nnullX", b"H 0\n" * 5 + b"B 3\nabcJ 5\n",
        ]  # fmt: skip
        # Whatever other requests there are or will be, with the fields that requests have.
        known = {**this, **where, "kind": "packs", "keep": 2, "strays": True, "dry_run": False, "limit": 1, "to": None}
        made += [
            talk(begin, send, pack, install, check, {"op": "switch", **this}, {"op": op, **known})
            for op in sorted(session.OPERATIONS)
            if op not in ("begin", "blob", "install")
        ]
        return made

    def run(self, data: bytes) -> str:
        """One session; every line that it says is a message, and none says that the agent failed."""
        self.fresh("robot")
        requests, host = os.pipe()
        answers = os.memfd_create("answers")
        try:
            os.write(host, data[:FAR])
            os.close(host)
            talk = Talk(requests, answers, str(self.place / "agent.pyz"))
            with self.guard.on(*asked(data)):
                status = talk.serve("0" * 64)
                talk.end()
            expect(status in (session.ENDED, session.BROKEN), f"exit status {status}")
            said = os.pread(answers, 64 << 20, 0)
        finally:
            os.close(requests)
            os.close(answers)
        kinds = [self._message(line) for line in said.splitlines()]
        for name in layout.installed(layout.Layout(BASE, str(self.place / "robot"))):
            release = (self.place / "robot" / BASE[1:] / "envs" / name / "current").resolve()
            expect(layout.is_complete(str(release)), f"current of {name} is not complete")
        expect(threading.active_count() < 20, "threads are left")
        return kinds[-1]

    def _message(self, line: bytes) -> str:
        message = json.loads(line)
        expect(message.get("type") in ("hello", "event", "result", "error"), f"it said {line[:200]!r}")
        expect(message.get("code") != "agent-bug", "\n".join(map(str, message.get("details", []))))
        return str(message.get("code") or message["type"])


class Programs(Target):
    """The request of `exec`, up to the moment where it would become a program."""

    change = staticmethod(mutators.frames)

    def seeds(self) -> list[bytes]:
        """Programs of the release and of the system."""
        where = {"base": BASE, "root": str(self.place / "robot"), "environment": "demo", "missing": "push it"}
        return [
            talk({**where, "argv": ["python3", "-c", "print(1)"], "variables": {"A": "b"}}),
            talk({**where, "argv": ["/bin/true"]}), talk({**where, "argv": ["nothing"], "environment": "other"}),
        ]  # fmt: skip

    def run(self, data: bytes) -> str:
        """One request; it ends with one of the two statuses that shells have."""
        release = self.fresh("robot") / BASE[1:] / "envs/demo/releases" / ("0" * 64)
        (release / "bin").mkdir(parents=True)
        (release / "bin/python3").symlink_to(sys.executable)
        (release / "complete").touch()
        (release / "manifest.json").write_text('{"schema": 1, "variables": {}}')
        (release.parent.parent / "current").symlink_to(f"releases/{release.name}")
        requests, host = os.pipe()
        os.write(host, data[:FAR])
        os.close(host)
        kept = os.dup(0)
        os.dup2(requests, 0)
        os.close(requests)
        stderr, sys.stderr = sys.stderr, io.StringIO()
        try:
            with self.guard.on(*asked(data)):
                status = execute.main()
            expect(status in (execute.NOT_FOUND, execute.NOT_RUNNABLE), f"status {status}")
            return str(status)
        finally:
            sys.stderr = stderr
            os.dup2(kept, 0)
            os.close(kept)


class Packs(Target):
    """What a tree is made of: gzip'd tar archives."""

    change = staticmethod(mutators.tar_file)

    def seeds(self) -> list[bytes]:
        """Archives with scripts, long names and directories; the last ones are read as they are, not packed again."""
        tar = plain_tar()
        return [tar, plain_tar("x" * 150), b"RAW" + gzip.compress(tar, mtime=0), b"RAW" + gzip.compress(tar, 0)[:-9]]

    def run(self, data: bytes) -> str:
        """One archive is unpacked into a release, or refused."""
        release, pack = self.fresh("release"), self.place / TAR
        pack.write_bytes(data[3:] if data.startswith(b"RAW") else gzip.compress(data, 1, mtime=0))
        try:
            with self.guard.on(str(release)):
                tree_install.install(str(release), [str(pack)])
        except (Refusal, OSError) as error:
            return getattr(error, "code", "os-error")
        for path in release.rglob("*"):
            expect(not path.is_symlink() and (path.is_dir() or path.is_file()), f"{path} is neither file nor directory")
        return "unpacked"


class BundleFiles(Target):
    """`.ot2bundle` files."""

    change = staticmethod(mutators.zip_file)

    def seeds(self) -> list[bytes]:
        """Bundles of one and of no wheel, with and without signatures."""
        from dataclasses import replace

        from builder.bundle import assemble
        from builder.environment import Environment, import_check

        store = Store(self.place / "seeds")
        wheel = self.place / "demo-1.0-py3-none-any.whl"
        wheel.write_bytes(plain_wheel())
        blob = store.add(wheel, how="public")
        row = {
            "name": "demo", "version": "1.0", "filename": blob.filename, "sha256": blob.sha256, "size": blob.size,
            "unpacked": 10, "files": 4, "how": "public", "requested": True,
        }  # fmt: skip
        lab = Environment(name="lab", requirements=("demo==1.0",), variables={"A": "b"})
        made, path = [], self.place / "seed.ot2bundle"
        for profiles, rows in ((("ot2-py310",), [row]), (("ot2-py310", "ot2-py312"), []), (("ot2-py312",), [row])):
            bundles = [
                assemble(
                    lab, load(profile), rows, [blob] * len(rows), quick=[import_check("demo")], as_of="2025-04-20",
                    lock="f" * 64,
                )
                for profile in profiles
            ]  # fmt: skip
            write([replace(one, signatures=("-----BEGIN SSH SIGNATURE-----\n",)) for one in bundles], path)
            made.append(path.read_bytes())
        return made

    def run(self, data: bytes) -> str:
        """One file is read into a store, and what was read can be written and read again; or it is refused."""
        store, path = self.fresh("store"), self.place / "in.ot2bundle"
        path.write_bytes(data)
        with self.guard.on(str(store), str(self.place / "out.ot2bundle"), str(self.place / ".out")):
            try:
                bundles = read(path, Store(store))
            except (BundleFailure, AuditFailure) as failure:
                return failure.code
        out = self.place / "out.ot2bundle"
        write(bundles, out)
        again = read(out, Store(store))
        expect(
            [dict(one.manifest) for one in again] == [dict(one.manifest) for one in bundles], "another one came back"
        )
        return "read"


class Wheels(Target):
    """Wheels: what reads them, and what judges them."""

    change = staticmethod(mutators.zip_file)

    def seeds(self) -> list[bytes]:
        """A pure wheel, and one with a library that is none."""
        return [
            plain_wheel(),
            plain_wheel({"demo/x.so": b"\x7fELF\x01\x01\x01" + bytes(60)}),
            plain_wheel({"x.pth": b""}),
        ]

    def run(self, data: bytes) -> str:
        """One wheel is opened, or refused; in both cases the audit says something of it."""
        path, word = self.place / "demo-1.0-py3-none-any.whl", "opened"
        path.write_bytes(data)
        with self.guard.on():
            try:
                wheel = WheelFile.open(path)
                expect(all(not member.name.startswith("/") for member in wheel.members), "a member leads out")
                expect(isinstance([*wheel.top_level, *wheel.scripts], list), "its names cannot be told")
            except AuditFailure:
                word = "refused"
            except Failure as failure:
                raise Failed(repr(failure)) from failure
            judged = audit(path, load("ot2-py310"))
            expect(word == "opened" or not judged.ok, "the audit accepts what cannot be opened")
        return word


class States(Target):
    """What a robot prints when it is asked how it is."""

    change = staticmethod(lambda data, rng, blind: blind(data))

    def seeds(self) -> list[bytes]:
        """The recorded robots."""
        cases = Path(__file__).resolve().parent.parent / "cases" / "probe"
        return [path.read_bytes() for path in sorted(cases.glob("*.txt"))]

    def run(self, data: bytes) -> str:
        """One answer is read, or refused with a failure that names the robot."""
        with self.guard.on():
            try:
                read_state = state.parse("otto", data)
            except Failure as failure:
                expect(failure.subject == "otto", "the failure does not name the robot")
                return failure.code
            json.dumps(read_state.as_dict(), default=str)
        for name in read_state.environments:
            expect(fields.NAME.fullmatch(name), f"an environment is called {name!r}")
        return "read"


TARGETS: dict[str, type[Target]] = {
    "session": Conversations, "exec": Programs, "pack": Packs, "bundle": BundleFiles, "wheel": Wheels, "state": States,
}  # fmt: skip


def talk(*parts: dict[str, Any] | bytes) -> bytes:
    """A conversation: requests, payloads, and heartbeats where a payload is b"H"."""
    out = b""
    for part in parts:
        data = json.dumps(part).encode() if isinstance(part, dict) else part
        kind = b"J" if isinstance(part, dict) else b"B"
        out += b"H 0\n" if part == b"H" else b"%s %d\n%s" % (kind, len(data), data)
    return out


def asked(data: bytes) -> list[str]:
    """The directories that the requests in a conversation name, below which the agent may then write."""
    found: list[str] = []
    for header in re.finditer(rb"J ([0-9]{1,9})\n", data):
        value = mutators.parsed(data[header.end() : header.end() + int(header[1])])
        if isinstance(value, dict):
            root, base = value.get("root", ""), value.get("base", BASE)
            if isinstance(root, str) and isinstance(base, str) and (root + base)[:1] == "/" and _is_path(root + base):
                found += [root + base, f"{root}/var/user-packages"]
    return [path for path in found if os.path.normpath(path) not in ("/", "//")]


def _is_path(text: str) -> bool:
    try:
        return b"\0" not in os.fsencode(text)
    except UnicodeEncodeError:
        return False


def plain_tar(long: str = "") -> bytes:
    """A tar archive as a pack has it: files of a release."""
    out = io.BytesIO()
    site = f"lib/{PYTHON}/site-packages"
    members = {
        f"{site}/demo.py": b"VALUE = 1\n", "bin/demo": b"#!@OT2DEPLOY_PYTHON@\nprint(1)\n",
        f"{site}/demo-1.0.dist-info/RECORD": b"demo.py,,\n../../../bin/demo,sha256=x,3\ndemo-1.0.dist-info/RECORD,,\n",
        "share/demo/data": bytes(600),
    }  # fmt: skip
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT, bufsize=512) as archive:
        for name, content in {**members, **({f"share/{long}": b"x"} if long else {})}.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(content), 0o755 if name.startswith("bin/") else 0o644
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def packed(tar: bytes) -> bytes:
    """The archive as it is sent."""
    return gzip.compress(tar, 1, mtime=0)


def plain_wheel(more: dict[str, bytes] | None = None) -> bytes:
    """A small wheel."""
    out, info = io.BytesIO(), "demo-1.0.dist-info"
    members = {
        "demo/__init__.py": b"VALUE = 1\n", **(more or {}),
        f"{info}/METADATA": b"Metadata-Version: 2.1\nName: demo\nVersion: 1.0\nRequires-Dist: six; extra=='x'\n",
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": b"[console_scripts]\ndemo = demo:main\n",
    }  # fmt: skip
    rows = "".join(f"{name},,\n" for name in [*members, f"{info}/RECORD"])
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in {**members, f"{info}/RECORD": rows.encode()}.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return out.getvalue()
