"""Which line of a build's log tells why it failed."""

from __future__ import annotations

from pathlib import Path

import pytest

from builder.build.log import cause, telling_lines

# As pyzmq 25.1.2 fails where its extensions are compiled side by side.
PROBED = """\
build/temp/scratch/vers.c:4:10: fatal error: 'zmq.h' file not found
1 error generated.
error: Command '['ot2-cc', '-c', 'vers.c']' returned non-zero exit status 1.
building 'zmq.backend.cython._poll' extension
ot2-c++ -std=c++11 -c zmq/backend/cython/_poll.c -o _poll.o
error: invalid argument '-std=c++11' not allowed with 'C'
ot2-c++ -std=c++11 -c bundled/zeromq/src/zmq.cpp -o zmq.o
error: Command '['ot2-c++', '-c', 'zmq/backend/cython/_poll.c']' returned non-zero exit status 1.
"""
NINJA = """\
[1/3] Compiling C++ object a.o
[2/3] Compiling C++ object b.o
FAILED: b.o
ot2-c++ -c ../b.cpp
../b.cpp:7:3: error: unknown type name 'plate'
../b.cpp:9:3: error: use of undeclared identifier 'well'
2 errors generated.
ninja: build stopped: subcommand failed.
Traceback (most recent call last):
  File "hook.py", line 38, in main
subprocess.CalledProcessError: Command '['ninja']' returned non-zero exit status 1.
"""
LINKER = """\
ot2-cc -shared a.o -lplates -o a.so
error: unable to find dynamic system library 'plates' using strategy 'paths_first'
error: command 'ot2-cc' failed with exit code 1
"""
RUST = """\
   Compiling plates v1.0
error[E0432]: unresolved import `wells`
error: could not compile `plates` (lib) due to 1 previous error
"""
MISSING = """\
probe.c:1:10: fatal error: 'wells.h' file not found
1 error generated.
Traceback (most recent call last):
  File "setup.py", line 1, in <module>
ModuleNotFoundError: No module named 'versioneer'
"""


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (PROBED, "error: invalid argument '-std=c++11' not allowed with 'C'"),
        (NINJA, "../b.cpp:7:3: error: unknown type name 'plate'"),
        (LINKER, "error: unable to find dynamic system library 'plates' using strategy 'paths_first'"),
        (RUST, "error[E0432]: unresolved import `wells`"),
        (MISSING, "ModuleNotFoundError: No module named 'versioneer'"),
        ("../meson.build:3:0: ERROR: Dependency 'wells' not found\n", None),
        ("x.o: undefined reference to `well'\ncollect2: error: ld returned 1 exit status\n", None),
        ("ImportError: no wells, going on\n" + "-\n" * 20 + NINJA, "../b.cpp:7:3: error: unknown type name 'plate'"),
        ("ImportError: no wells, going on\n" + "-\n" * 20 + LINKER, LINKER.splitlines()[1]),
        ("compiling\nKilled\n", ""),
        ("", ""),
    ],
)
def test_the_cause_is_the_compilers_own_word(tmp_path: Path, text: str, told: str | None) -> None:
    (tmp_path / "log").write_text(text)
    assert cause(tmp_path / "log") == (text.splitlines()[0] if told is None else told)


def test_what_an_earlier_step_printed_is_not_the_cause(tmp_path: Path) -> None:
    earlier = "a.c:1: error: was long ago\n"
    (tmp_path / "log").write_text(earlier + "nothing more\n")
    assert cause(tmp_path / "log", len(earlier)) == ""
    assert telling_lines(tmp_path / "log") == ("a.c:1: error: was long ago",)
    assert cause(tmp_path / "absent") == ""
