"""Numbers what a shell script changes on an embedded robot: the programs it starts stand behind ones that count."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from chaos_place import Place

CHANGING = ("mkdir", "flock", "cat", "sync", "mv", "rm")
# Only `cat` into a file changes something; one in a pipeline would be numbered now before its neighbour, now after it.
# All of a command is one process group, so that nothing of it goes on.
COUNTING = r"""#!/bin/sh
name=@name@ chaos=@chaos@
[ "$name" != cat ] || [ -f /proc/$$/fd/1 ] || exec @program@ "$@"
number=0
[ ! -f $chaos/count ] || read -r number <$chaos/count
number=$((number + 1)); echo $number >$chaos/count
die_if() {
    grep -q '"role": "shell", "number": '$number', "when": "'$1'"' $chaos/armed 2>/dev/null || return 0
    /bin/rm $chaos/armed
    kill -9 0
}
die_if before
@program@ "$@"
status=$?
[ ! -f $chaos/record ] || echo '["shell", '$number', "start", "'$name'", true]' >>$chaos/effects
die_if after
exit $status
"""


@contextlib.contextmanager
def watched_shell(place: Place) -> Iterator[None]:
    """Until the block ends, the robot's shell finds programs that count. They are numbered on from the first one."""
    put: list[Path] = []
    (place.chaos / "count").unlink(missing_ok=True)
    try:
        for name in CHANGING:
            program = shutil.which(name)
            assert program is not None
            path = place.root / "usr" / "bin" / name
            text = COUNTING.replace("@name@", name).replace("@program@", program).replace("@chaos@", str(place.chaos))
            path.write_text(text)
            path.chmod(0o755)
            put.append(path)
        yield
    finally:
        for path in put:
            path.unlink()
