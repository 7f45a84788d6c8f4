"""What reads input from outside, fuzzed guided by coverage: no traceback, no write elsewhere, no hang, bounded memory.

A few hundred inputs for each target in the suite. OT2DEPLOY_TESTS_FUZZ=10000 makes it ten thousand each, and
OT2DEPLOY_TESTS_FUZZ_SEED other ones. An input that went wrong runs again with:
python tests/fuzz/fuzz_worker.py TARGET EMPTY-DIRECTORY CRASH-FILE
"""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

COUNT = int(os.environ.get("OT2DEPLOY_TESTS_FUZZ", "250"))
SEED = int(os.environ.get("OT2DEPLOY_TESTS_FUZZ_SEED", "20261121"))
WORKER = Path(__file__).with_name("fuzz_worker.py")
# Target -> what must be among the answers, so that it is known that inputs reach more than the first check.
REACHED = {
    "session": {"result", "bad-request", "protocol"}, "exec": {"126", "127"}, "pack": {"unpacked", "pack-unsafe"},
    "bundle": {"read", "bundle"}, "wheel": {"opened", "refused"}, "state": {"read", "robot-command"},
}  # fmt: skip

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("atheris") is None, reason="atheris, which chooses the inputs, is not there"
)


@pytest.mark.parametrize("target", sorted(REACHED))
def test_no_input_does_what_it_must_not(tmp_path: Path, target: str) -> None:
    env = {**os.environ, "PYTHONHASHSEED": "0"}
    words = [sys.executable, str(WORKER), target, str(tmp_path), str(COUNT), str(SEED)]
    done = subprocess.run(words, env=env, capture_output=True, text=True, errors="replace", timeout=60 + COUNT)
    crashes = [path.read_bytes()[:2000] for path in tmp_path.glob("*-*") if path.is_file() and path.stem[:4] != "seed"]
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-6000:]}\n{crashes}"
    (told,) = re.findall(rf"^{COUNT} inputs of .*$", done.stdout, re.M)
    print(told)
    assert set(re.findall(r"'([a-z0-9-]+)': \d", told)) >= REACHED[target], told


def test_the_guard_sees_a_write_that_leads_out(tmp_path: Path) -> None:
    (tmp_path / "inside").mkdir()
    (tmp_path / "inside" / "link").symlink_to(tmp_path)
    program = f"""
import os, sys
sys.path.insert(0, {str(WORKER.parent)!r})
from fuzz_guard import Guard, Violation
guard = Guard({str(tmp_path / "inside")!r})
def told(act):
    try:
        with guard.on({str(tmp_path / "inside" / "base")!r}):
            try:
                act()
            except OSError:
                pass
    except Violation as seen:
        return str(seen)
    return "nothing"
os.chdir({str(tmp_path / "inside")!r})
print(told(lambda: os.makedirs("base/x")))
print(told(lambda: open("base/x/y", "w").close()))
print(told(lambda: os.mkdir("other")))
print(told(lambda: open("link/evil", "w")))
print(told(lambda: os.rename("base/x/y", "../evil")))
print(told(lambda: os.symlink("x", {str(tmp_path / "evil")!r})))
print(told(lambda: os.kill(os.getpid(), 0)))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    fine, also_fine, *seen = done.stdout.splitlines()
    assert (fine, also_fine) == ("nothing", "nothing")
    assert [line.split(" ")[0] for line in seen] == ["os.mkdir", "open", "os.rename", "os.symlink", "os.kill"]
    assert not (tmp_path / "evil").exists()
