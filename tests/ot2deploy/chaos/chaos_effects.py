"""Numbers the effects of a process on its system, records them, and kills at one of them. Standard library only.

As `sitecustomize` of an embedded robot's Python it counts the agent's, and those of the pip and the compiler that the
agent starts; `watch` does the same in a host's process. All it needs stands in the robot's directory, beside its root:

    chaos/environment   variables that the agent is started with, as JSON
    chaos/record   exists: every effect is appended to chaos/effects, a line of JSON each
    chaos/armed    {"role", "number", "when": "before"|"after", "how": "process"|"agent"|"robot", "server": pid}

The file `armed` is removed before anything is killed, so that a fault happens once, whatever is tried again.
"""

import builtins
import io
import json
import os
import signal
import stat
import subprocess
import sys
import threading

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
PATHS = ("replace", "rename", "symlink", "link", "unlink", "remove", "mkdir", "rmdir", "chmod", "truncate", "utime")
TWO_PATHS = ("replace", "rename", "symlink", "link")
DESCRIPTORS = ("write", "pwrite", "fsync", "fdatasync", "ftruncate", "fchmod")
ANSWERS = (b'"type": "result"', b'"type": "error"', b'"type": "hello"')

_open, _write, _close, _unlink, _read = os.open, os.write, os.close, os.unlink, os.read


class Counter:
    """The effects of one process in its role, and the one at which it is to die."""

    def __init__(self, directory, role):
        self.directory, self.role, self.number = directory, role, 0
        self._guard, self._inside = threading.Lock(), threading.local()
        self.armed = self._armed()
        self.recording = os.path.exists(os.path.join(directory, "record"))

    def effect(self, kind, where, do):
        """Does something, as the next effect; what it does in turn does not count."""
        if getattr(self._inside, "busy", False):
            return do()
        with self._guard:
            self.number += 1
            number = self.number
        self._inside.busy = True
        done = False
        try:
            self._die_if(number, "before")
            try:
                result = do()
                done = True
                return result
            finally:
                self._die_if(number, "after")
        finally:
            self._inside.busy = False
            if self.recording:
                self._note(number, kind, where, done)

    def _armed(self):
        try:
            with open(os.path.join(self.directory, "armed"), encoding="utf-8") as file:
                armed = json.load(file)
        except (OSError, ValueError):
            return None
        return armed if armed["role"] == self.role else None

    def _note(self, number, kind, where, done):
        line = json.dumps([self.role, number, kind, where, done]) + "\n"
        fd = _open(os.path.join(self.directory, "effects"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        _write(fd, line.encode())
        _close(fd)

    def _die_if(self, number, when):
        armed = self.armed
        if armed is None or (armed["number"], armed["when"]) != (number, when):
            return
        try:
            _unlink(os.path.join(self.directory, "armed"))
        except OSError:
            return  # another process of this role was first
        if armed["how"] == "robot":
            for pid in [*_below(armed["server"]), armed["server"]]:
                if pid != os.getpid():
                    _kill(pid)
        elif armed["how"] == "agent":
            _kill(os.getppid())
        _kill(os.getpid())


def watch(counter):
    """Counts every call by which this process changes files, starts programs or answers its host."""
    for name in PATHS:
        _wrap(os, name, lambda do, name=name: _on_path(counter, name, do))
    for name in DESCRIPTORS:
        _wrap(os, name, lambda do, name=name: _on_descriptor(counter, name, do))
    _wrap(os, "open", lambda do: _opening(counter, do))
    builtins.open = io.open = _files(counter, builtins.open)
    start = subprocess.Popen.__init__

    def begin(self, args, *more, **options):
        watched = _passed_on(counter, args)
        return counter.effect("start", _program(args), lambda: start(self, watched, *more, **options))

    subprocess.Popen.__init__ = begin
    if counter.role == "compile":
        from importlib import _bootstrap_external as files  # its atomic write is beyond our names

        keep = files._write_atomic
        files._write_atomic = lambda path, *more: counter.effect("write", path, lambda: keep(path, *more))
    sys.addaudithook(lambda event, args: _synced(counter) if event == "ctypes.dlsym" and "syncfs" in args else None)


def _synced(counter):
    counter.effect("syncfs", "", lambda: None)


def _wrap(module, name, make):
    do = getattr(module, name, None)
    if do is None:
        return
    wrapped = make(do)
    setattr(module, name, wrapped)
    for group in (os.supports_dir_fd, os.supports_fd, os.supports_follow_symlinks):
        if do in group:
            group.add(wrapped)


def _on_path(counter, kind, do):
    def call(*args, **options):
        where = os.fspath(args[1] if kind in TWO_PATHS else args[0])
        if options.get("dir_fd") is not None and isinstance(where, str):
            where = os.path.join(_name(options["dir_fd"]), where)
        source = os.fspath(args[0]) if kind in ("replace", "rename") else ""
        return counter.effect(
            kind, "%s -> %s" % (source, where) if source else _text(where), lambda: do(*args, **options)
        )

    return call


def _on_descriptor(counter, kind, do):
    def call(fd, *args, **options):
        mode = os.fstat(fd).st_mode
        if stat.S_ISREG(mode) or stat.S_ISDIR(mode):
            return counter.effect(kind, _name(fd), lambda: do(fd, *args, **options))
        if kind == "write" and counter.role == "agent" and _is_answer(bytes(args[0])):
            return counter.effect("answer", "", lambda: do(fd, *args, **options))
        return do(fd, *args, **options)

    return call


def _is_answer(data):
    return any(word in data for word in ANSWERS)


def _opening(counter, do):
    def call(path, flags, *more, **options):
        if flags & WRITING and not str(path).startswith("/dev/"):
            return counter.effect("open", _text(path), lambda: do(path, flags, *more, **options))
        return do(path, flags, *more, **options)

    return call


class _Written(io.FileIO):
    """A file whose writes count."""

    counter = None

    def write(self, data):
        return self.counter.effect("write", _text(self.name), lambda: io.FileIO.write(self, data))

    def truncate(self, size=None):
        return self.counter.effect("ftruncate", _text(self.name), lambda: io.FileIO.truncate(self, size))


def _files(counter, do):
    """The builtin `open`, whose files for writing are counted ones."""
    _Written.counter = counter

    def call(file, mode="r", buffering=-1, encoding=None, errors=None, newline=None, closefd=True, opener=None):
        if not set(mode) & set("wax+") or isinstance(file, int) or opener or str(file).startswith("/dev/"):
            return do(file, mode, buffering, encoding, errors, newline, closefd, opener)
        raw = counter.effect("open", _text(file), lambda: _Written(file, mode.replace("b", "").replace("t", "")))
        if buffering == 0:
            return raw
        binary = io.BufferedRandom(raw) if "+" in mode else io.BufferedWriter(raw)
        if "b" in mode:
            return binary
        text = io.TextIOWrapper(binary, encoding or "utf-8", errors, newline, line_buffering=buffering == 1)
        text.mode = mode
        return text

    return call


def _passed_on(counter, args):
    """The agent's pip and compiler are watched, too: their programs begin with the watching."""
    if counter.role != "agent" or not isinstance(args, list) or "-c" not in args:
        return args
    at = args.index("-c") + 1
    role = "compile" if "compileall" in args[at] else "pip"
    head = "import importlib.util as u; s = u.spec_from_file_location('chaos_effects', %r)\n" % __file__
    head += "m = u.module_from_spec(s)\n"
    head += "s.loader.exec_module(m); m.watch(m.Counter(%r, %r))\n" % (counter.directory, role)
    return [*args[:at], head + args[at], *args[at + 1 :]]


def _program(args):
    words = [str(word) for word in args] if isinstance(args, (list, tuple)) else [str(args)]
    return " ".join(word for word in words[:8] if "\n" not in word)


def _name(fd):
    try:
        return os.readlink("/proc/self/fd/%d" % fd)
    except OSError:
        return ""


def _text(path):
    return os.fsdecode(path) if isinstance(path, (str, bytes, os.PathLike)) else ""


def _below(ancestor):
    """The processes below one, read from /proc."""
    parents = {}
    for name in os.listdir("/proc"):
        try:
            fd = _open("/proc/%d/stat" % int(name), os.O_RDONLY)
        except (ValueError, OSError):
            continue
        parents[int(name)] = int(_read(fd, 4096).rpartition(b")")[2].split()[1])
        _close(fd)
    found, level = [], {ancestor}
    while level:
        level = {pid for pid, parent in parents.items() if parent in level}
        found += level
    return found


def _kill(pid):
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def _on_robot():
    """Begins to watch where this is an embedded robot's `sitecustomize` and the agent's session starts."""
    words = sys.orig_argv
    if words[-1:] == ["session"] and words[-2:-1] and words[-2].endswith(".pyz"):
        chaos = os.path.join(__file__.split("/root/usr/")[0], "chaos")
        _change_environment(os.path.join(chaos, "environment"))
        watch(Counter(chaos, "agent"))


def _change_environment(path):
    """Starts this process anew with variables that only count at its start, such as those of libfaketime."""
    try:
        with open(path, encoding="utf-8") as file:
            changes = json.load(file)
    except OSError:
        return
    if any(os.environ.get(name) != value for name, value in changes.items()):
        os.execve(sys.executable, sys.orig_argv, {**os.environ, **changes})


if __name__ == "sitecustomize":
    _on_robot()
