"""The one place where builder and ot2deploy start processes on the host."""

from __future__ import annotations

import atexit
import contextlib
import functools
import os
import re
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from builder.errors import DiskFailure, Failure, ToolFailure, last_lines
from builder.giving_up import giving_up

# What a child may see of our environment. Everything else (PYTHON*, PIP_*, CC, CFLAGS ...) would make a result
# depend on the shell it was started from.
PASSED = (
    "HOME", "PATH", "LANG", "LC_ALL", "TERM", "TMPDIR", "USER", "LOGNAME", "SYSTEMROOT",
    "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "PIP_CERT", "CURL_CA_BUNDLE",
    "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy", "ALL_PROXY", "all_proxy",
    "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "CARGO_HOME", "RUSTUP_HOME", "DOCKER_HOST", "SSH_AUTH_SOCK",
)  # fmt: skip

# A shell that is told of each group that begins (+) and ends (-). Its input ends when we do, whatever ended us
# (SIGKILL, the kernel out of memory), and then it kills the groups that are left.
WATCHDOG = """
groups=" "
while read -r sign group; do
    case $sign in
    +) groups="$groups$group " ;;
    -) case $groups in *" $group "*) groups="${groups%%" $group "*} ${groups#*" $group "}" ;; esac ;;
    esac
done
for group in $groups; do kill -s KILL -- "-$group"; done
"""

NO_ROOM = re.compile(r"No space left on device|NoSpaceLeft|Disk quota exceeded|\[Errno 28\]")

_children: set[subprocess.Popen[bytes]] = set()
_others: set[Callable[[], None]] = set()  # end what runs elsewhere
_guard = threading.Lock()  # over the children, and over whether new ones may be started
_stops = 0


@dataclass(frozen=True, kw_only=True)
class Finished:
    """A process that has ended: its argv, exit status and combined or separate output."""

    argv: tuple[str, ...]
    status: int
    stdout: str
    stderr: str


def environment(extra: Mapping[str, str] | None = None, *, passed: Sequence[str] = ()) -> dict[str, str]:
    """The cleaned environment for a child; `passed` names further variables to let through."""
    kept = {name: os.environ[name] for name in (*PASSED, *passed) if name in os.environ}
    return {**kept, **(extra or {})}


def run(
    argv: Sequence[str | Path],
    *,
    timeout: float,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    input: bytes | None = None,
    log: Path | None = None,
    check: bool = True,
    subject: str = "",
    called: str = "",
    terminal: bool = False,
) -> Finished:
    """Runs a program to its end in a process group of its own.

    `env` is the whole environment (default: `environment()`). With `log`, both streams go to that file and the
    tail of it stands in the error. In time-out (seconds), or when we are interrupted, the whole group is killed.
    `called` is what errors call the program, in place of the first words of its argv. With `terminal` it stays in our
    own session and group, so that it can ask on the terminal.
    Raises ToolFailure when the program is missing, runs too long or, with `check`, ends with a status other than 0;
    DiskFailure when it says that the disk was full.
    """
    words = tuple(str(word) for word in argv)
    called = called or short(words)
    process = _started(words, called, subject, cwd=cwd, env=env, fed=input is not None, log=log, terminal=terminal)
    try:
        out, err = process.communicate(input, timeout=timeout)
    except subprocess.TimeoutExpired:
        _kill(process)
        what = f"{called} did not end within {timeout:g} s"
        raise ToolFailure(what, argv=words, subject=subject, output=tail(log)) from None
    except BaseException:
        _kill(process)
        raise
    finally:
        _forget(process, told=not terminal)
    stdout, stderr = ((text or b"").decode(errors="replace") for text in (out, err))
    finished = Finished(argv=words, status=process.returncode, stdout=stdout, stderr=stderr)
    if check and finished.status != 0:
        output = tail(log) if log else stderr or stdout
        raise ended_badly(called, argv=words, status=finished.status, output=output, subject=subject)
    return finished


def ended_badly(called: str, *, argv: tuple[str, ...], status: int, output: str, subject: str = "") -> Failure:
    """Why a program ended with a status other than 0, here or in a container: most say it when the disk was full."""
    what = f"{called} ended with status {status}"
    if NO_ROOM.search(output):
        return DiskFailure(
            f"{what}: no space left on this host",
            subject=subject,
            details=last_lines(output),
            next="Free some space, or use another place; $OT2DEPLOY_CACHE says where builds and the store are.",
        )
    return ToolFailure(what, argv=argv, status=status, output=output, subject=subject)


@contextmanager
def stopping() -> Iterator[None]:
    """Ends the programs of all threads, and lets none begin while the block lasts: for leaving work half done.

    Ctrl-C reaches the main thread alone; the other ones learn of it by the ToolFailure of their program.
    """
    global _stops
    with _guard:
        _stops += 1
        for process in _children:
            if process.returncode is None:  # else its number may be another's by now
                _end_group(process)
        for end in _others:
            end()
    try:
        with giving_up():
            yield
    finally:
        with _guard:
            _stops -= 1


@contextmanager
def ending(end: Callable[[], None]) -> Iterator[None]:
    """Lets `stopping` end what does not run as a program of ours, such as a container, while the block lasts."""
    with _guard:
        _others.add(end)
    try:
        yield
    finally:
        with _guard:
            _others.discard(end)


def start(argv: Sequence[str | Path], *, log: Path, env: Mapping[str, str] | None = None) -> int:
    """Starts a program that outlives us, in a session of its own with both streams appended to `log`; gives its pid.

    Who starts one sees to it that it can be found and ended again (a lock it holds, a file it writes).
    Raises ToolFailure when it cannot be started.
    """
    words = tuple(str(word) for word in argv)
    with log.open("ab") as sink:
        try:
            return subprocess.Popen(
                words,
                env=dict(environment() if env is None else env),
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            ).pid
        except OSError as error:
            raise ToolFailure(f"cannot start {words[0]}: {error.strerror or error}", argv=words) from error


@functools.cache
def _watchdog() -> subprocess.Popen[bytes] | None:
    """This process's watchdog, started with its first program; None on Windows."""
    if os.name != "posix":
        return None
    null = subprocess.DEVNULL
    process = subprocess.Popen(
        ["sh", "-c", WATCHDOG], stdin=subprocess.PIPE, stdout=null, stderr=null, cwd="/", start_new_session=True
    )
    atexit.register(process.communicate)  # its input ends, and so does it
    return process


def _started(
    words: tuple[str, ...],
    called: str,
    subject: str,
    *,
    cwd: Path | None,
    env: Mapping[str, str] | None,
    fed: bool,
    log: Path | None,
    terminal: bool,
) -> subprocess.Popen[bytes]:
    """A program in a group of its own that `stopping` and the watchdog know of; none begins while we are stopping.

    One for the terminal is in our own group, which ends with the terminal: the watchdog is not told of it.
    """
    with log.open("ab") if log else nullcontext() as sink:
        try:
            with _guard:
                if _stops:
                    raise ToolFailure(f"{called} was not started: interrupted", argv=words, subject=subject)
                watchdog = _watchdog()
                process = subprocess.Popen(
                    words,
                    cwd=cwd,
                    env=dict(environment() if env is None else env),
                    stdin=subprocess.PIPE if fed else subprocess.DEVNULL,
                    stdout=sink or subprocess.PIPE,
                    stderr=subprocess.STDOUT if sink else subprocess.PIPE,
                    start_new_session=not terminal,
                )
                _children.add(process)
                if not terminal:
                    _tell(watchdog, "+", process)
                return process
        except OSError as error:
            what = f"cannot start {words[0]}: {error.strerror or error}"
            raise ToolFailure(what, argv=words, subject=subject) from error


def _forget(process: subprocess.Popen[bytes], *, told: bool) -> None:
    """What has ended is nobody's to end any more: its number may soon be another's."""
    with _guard:
        _children.discard(process)
        if told:  # taking away what the watchdog was not told of would double its list each time
            _tell(_watchdog(), "-", process)


def _tell(watchdog: subprocess.Popen[bytes] | None, sign: str, process: subprocess.Popen[bytes]) -> None:
    if watchdog and watchdog.stdin:
        with contextlib.suppress(OSError):  # somebody ended it: nothing is lost but the second line of defence
            os.write(watchdog.stdin.fileno(), f"{sign} {process.pid}\n".encode())


def _kill(process: subprocess.Popen[bytes]) -> None:
    _end_group(process)
    process.wait()


def _end_group(process: subprocess.Popen[bytes]) -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        process.kill()


def short(words: tuple[str, ...]) -> str:
    """The first words of an argv, paths by their names."""
    return " ".join([Path(words[0]).name, *(Path(word).name if word.startswith("/") else word for word in words[1:4])])


def tail(log: Path | None, size: int = 8192) -> str:
    """The last bytes of a log, as text."""
    if log is None or not log.exists():
        return ""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - size))
        return file.read().decode(errors="replace")
