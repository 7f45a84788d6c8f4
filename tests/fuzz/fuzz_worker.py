"""Runs one target on so many inputs, chosen by which code they reach (libFuzzer, through atheris).

usage: fuzz_worker.py TARGET DIRECTORY RUNS SEED      DIRECTORY is empty, and all that may be written to
       fuzz_worker.py TARGET DIRECTORY FILE           the one input that was found to be bad, again
Ends with 0 and a line of what became of the inputs, or with the input that went wrong in DIRECTORY/crash-*.
"""

from __future__ import annotations

import importlib
import pkgutil
import random
import sys
from collections import Counter
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.dont_write_bytecode = True  # what is imported late must not look like a write of the fuzzed code
sys.path[:0] = [str(HERE), str(HERE.parent.parent)]

import atheris  # noqa: E402

with atheris.instrument_imports(
    include=[
        "ot2deploy.agent",
        "builder.checks",
        "ot2deploy.robots.state",
        "builder.bundle",
        "builder.wheel",
        "builder.audit",
    ],
    enable_loader_override=False,
):
    import fuzz_targets

    from builder import checks
    from ot2deploy import agent

    for package in (agent, checks):  # also what the agent itself imports late
        for module in pkgutil.iter_modules(package.__path__):
            if module.name != "__main__":
                importlib.import_module(f"{package.__name__}.{module.name}")

from fuzz_guard import Guard  # noqa: E402

MOST = 48 << 10  # bytes of an input
SLOW = 20  # seconds after which an input counts as one that hangs
MEMORY = 1024  # MiB of the whole process


def main() -> None:
    """Reads the command line and fuzzes; libFuzzer ends the process."""
    name, place = sys.argv[1], Path(sys.argv[2]).resolve()
    target = fuzz_targets.TARGETS[name](place, Guard(str(place)))
    if len(sys.argv) == 4:
        print(target.run(Path(sys.argv[3]).read_bytes()))
        return
    runs, seed = int(sys.argv[3]), int(sys.argv[4])
    corpus = place / "corpus"
    corpus.mkdir()
    for number, data in enumerate(target.seeds()):
        target.run(data)  # before anything is changed: it says where a seed itself is wrong
        (corpus / f"seed-{number}").write_bytes(data)
    seen: Counter[str] = Counter()

    def one(data: bytes) -> None:
        seen[target.run(data)] += 1
        if sum(seen.values()) == runs:
            print(f"{runs} inputs of {name}, seed {seed}: {dict(seen.most_common())}", flush=True)

    def change(data: bytes, limit: int, number: int) -> bytes:
        rng = random.Random(number)
        made = type(target).change(data, rng, lambda some: atheris.Mutate(some, len(some) + 64))
        return made[:limit]

    options = [f"-runs={runs}", f"-seed={seed}", f"-max_len={MOST}", f"-timeout={SLOW}", f"-rss_limit_mb={MEMORY}"]
    options += ["-len_control=0", "-reload=0", f"-artifact_prefix={place}/", "-close_fd_mask=0", str(corpus)]
    atheris.Setup([sys.argv[0], *options], one, custom_mutator=change)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
