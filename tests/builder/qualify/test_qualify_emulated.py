"""A bundle with everything that can go wrong, really run on an emulated ARM interpreter."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from wheel_factory import make_wheel

from builder.bundle import Bundle, write
from builder.engine import Engine
from builder.environment import Check, import_check
from builder.qualify import EMULATED, Emulated, Known, Options, Qualified, qualify
from builder.standing import standing

pytestmark = [pytest.mark.emulated, pytest.mark.slow]
ROOT = Path(__file__).resolve().parents[3]
WHEEL = "demo-1.0-cp311-cp311-linux_armv7l.whl"
SUFFIX = "cpython-311-arm-linux-gnueabihf.so"
MODULE = """
#include <Python.h>
static struct PyModuleDef module = {{ PyModuleDef_HEAD_INIT, "{name}", NULL, -1, NULL }};
PyMODINIT_FUNC PyInit_{name}(void) {{ {code} return PyModule_Create(&module); }}
"""
ARMV8 = "volatile double half = 0.5; if (__builtin_floor(half) != 0.0) return NULL;"
SYSTEM = """
import os, platform, subprocess, sys
assert platform.machine() == "armv7l" and sys.maxsize < 1 << 32, platform.uname()
assert sys.prefix != sys.base_prefix and sys.executable.startswith(sys.prefix), sys.executable
said = subprocess.run([sys.executable, "-c", "import sys; print(sys.prefix)"], capture_output=True, text=True)
assert said.stdout.strip() == sys.prefix, said
"""
HUNGRY = "held = bytearray(400 << 20)\nimport time\ntime.sleep(600)\n"
CHECKS = (
    import_check("demo"),
    Check(kind="run", name="a script runs", timeout=60, argv=("demo-tell",), expect="^told by demo$"),
    Check(kind="program", name="it is a system of its own", timeout=60, source=SYSTEM),
    Check(kind="program", name="takes too long", timeout=5, source="import time; time.sleep(600)"),
    Check(kind="program", name="takes too much", timeout=60, source=HUNGRY),
)  # fmt: skip


@pytest.fixture
def bad(compile_module: Callable[..., bytes], bundle_of: Callable[..., Bundle], tmp_path: Path) -> Bundle:
    """One wheel: a module that works, one that crashes, one for a newer CPU, a library that is no module."""
    files = {
        "demo/__init__.py": b"def tell():\n    print('told by demo')\n",
        f"demo/good.{SUFFIX}": compile_module(MODULE.format(name="good", code="")),
        f"demo/crash.{SUFFIX}": compile_module(MODULE.format(name="crash", code="*(volatile int *)8 = 1;")),
        f"demo/newer.{SUFFIX}": compile_module(MODULE.format(name="newer", code=ARMV8), cpu="cortex_a53"),
        "demo/libplain.so": compile_module("int plain(void) { return 1; }"),
    }
    scripts = {"entry_points.txt": b"[console_scripts]\ndemo-tell = demo:tell\n"}
    wheel = make_wheel(tmp_path, WHEEL, files, metadata="Requires-Dist: absent\n", info=scripts)
    return bundle_of([wheel], CHECKS)


def test_each_way_to_fail_is_found_and_named(bad: Bundle, emulated: Emulated, engine: Engine) -> None:
    known = (
        Known(check="takes too *", reason="it is meant to", origin="here:1"),
        Known(check="import demo.good", reason="it once did", origin="here:2"),
        Known(check="*", reason="of another profile", profile="ot2-py310", origin="here:3"),
    )
    options = Options(engine=engine, known=known, memory=300, jobs=2)
    assert standing(bad, engine.store) == "audited"
    found = qualify(bad, emulated, options)
    rows = {row.name: row for row in found.rows}
    assert list(rows) == [
        f"audit {WHEEL}", "import demo", "a script runs", "it is a system of its own", "takes too long",
        "takes too much", "import demo.crash", "import demo.good", "import demo.newer", "pip check",
    ]  # fmt: skip
    good = {"import demo", "a script runs", "it is a system of its own", "import demo.good"}
    assert {name for name, row in rows.items() if row.ok} == good, rows
    assert "(elf-cpu-newer)" in rows[f"audit {WHEEL}"].why
    assert rows["import demo.crash"].why.startswith("ended by SIGSEGV (invalid memory access")
    assert rows["import demo.newer"].why.startswith("ended by SIGILL (illegal instruction: ")
    assert rows["takes too long"].why == "it did not end within 5 s"
    assert rows["takes too much"].why == "it used more than 300 MB of memory"
    assert rows["pip check"].why == "demo 1.0 requires absent, which is not installed."
    assert [row.name for row in found.rows if row.state == "known"] == ["takes too long", "takes too much"]
    assert (found.state, found.ok, found.unused) == (EMULATED, False, ("here:2",))
    assert '- check: "import demo.crash"\n  reason: "ended by SIGSEGV' in found.snippet
    assert standing(bad, engine.store) == "failed when emulated"
    strictly(found)


def strictly(found: Qualified) -> None:
    """What is known to fail does not count; what is said to fail and does not counts when that is asked for."""
    passed = replace(found, rows=tuple(row for row in found.rows if row.state != "failed"))
    assert passed.ok
    assert passed.snippet == ""
    assert not replace(passed, strict=True).ok
    assert replace(passed, strict=True, unused=()).ok


KILLED = """
import sys
from pathlib import Path
from builder import bundle
from builder.pipeline import open_engine
from builder.profile import load
from builder.qualify import Options, find_interpreter, qualify
(found,) = bundle.read(Path(sys.argv[1]))
options = Options(engine=open_engine(Path(sys.argv[1]).parent / "locks"))
qualify(found, find_interpreter(load(found.profile)), options)
"""


def test_a_killed_run_leaves_no_check_running(
    bundle_of: Callable[..., Bundle], shared_cache: Path, tmp_path: Path
) -> None:
    told = tmp_path / "pid"
    source = f"import os, time\nopen({str(told)!r}, 'w').write(str(os.getpid()))\ntime.sleep(600)\n"
    check = Check(kind="program", name="sleeps", timeout=600, source=source)
    path = tmp_path / "lab.ot2bundle"
    write([bundle_of([make_wheel(tmp_path, "demo-1.0-py3-none-any.whl")], [check])], path)
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(path)], env={**os.environ, "PYTHONPATH": str(ROOT)})
    try:
        wait_for(lambda: told.exists() and told.read_text() != "")
    finally:
        process.kill()
        process.wait()
    wait_for(lambda: not Path("/proc", told.read_text()).exists())


def wait_for(happens: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not happens():
        assert time.monotonic() < deadline
        time.sleep(0.05)
