"""The layers of docs/architecture.md hold, and every module keeps the house's shape. Read with ast, not imported."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MOST_LINES = 450
ON_ROBOTS = ("ot2deploy/agent/", "builder/checks/")
# Younger than Python 3.7, which the agent must be able to run on far enough to refuse it.
YOUNG = {"tomllib", "zoneinfo", "graphlib", "importlib.metadata", "importlib.resources.abc"}

# Library -> the files that may import it, each for the reason that architecture.md gives.
ONLY_IN: dict[str, tuple[str, ...]] = {
    "fabric": ("ot2deploy/transport/ssh.py",),
    "invoke": ("ot2deploy/transport/ssh.py",),
    "paramiko": ("ot2deploy/transport/", "ot2deploy/sim/"),  # its client side: test_ssh_is_spoken_in_one_module
    "docker": ("builder/docker/engine.py",),
    "rich": ("ot2deploy/cli/render.py", "ot2deploy/cli/live.py"),
    "uv": ("builder/uv.py",),
    "subprocess": ("builder/run.py", "ot2deploy/sim/processes.py", *ON_ROBOTS),  # an embedded robot's own commands
    "urllib.request": (),
    "http.client": ("ot2deploy/agent/activity.py",),  # a robot asks itself
    "keyring": ("builder/logins.py",),
    "zeroconf": ("ot2deploy/enroll/discover.py",),
    "click": ("ot2deploy/cli/",),
}
CLIENT_SIDE = {"SSHClient", "Agent", "AgentKey", "ProxyCommand", "SFTPClient", "SSHConfig"}
# Files that carry a stdlib module's name because it is the field's own word (architecture.md, "Words").
STDLIB_WORDS = {"builder/profile.py", "ot2deploy/cli/token.py"}


@dataclass(frozen=True, kw_only=True)
class Module:
    """A source file, parsed."""

    path: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text, self.path)

    @property
    def name(self) -> str:
        return self.path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")

    @property
    def on_robots(self) -> bool:
        return self.path.startswith(ON_ROBOTS)

    @cached_property
    def imports(self) -> tuple[tuple[int, str], ...]:
        """Line and full dotted name of everything imported, also inside functions; not what only type checkers see."""
        return tuple(_imports(self.tree))


def _imports(node: ast.AST) -> Iterator[tuple[int, str]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test).endswith("TYPE_CHECKING"):
            for other in child.orelse:
                yield from _imports(other)
        elif isinstance(child, ast.Import):
            yield from ((child.lineno, alias.name) for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            module = "." * child.level + (child.module or "")
            yield from ((child.lineno, f"{module}.{alias.name}") for alias in child.names)
        else:
            yield from _imports(child)


def _modules() -> list[Module]:
    paths = [path for top in ("builder", "ot2deploy") for path in sorted((ROOT / top).rglob("*.py"))]
    return [
        Module(path=path.relative_to(ROOT).as_posix(), text=path.read_text(encoding="utf-8"))
        for path in paths
        if "_shipped" not in path.parts
    ]


MODULES = _modules()
NAMES = {module.name for module in MODULES}


def target(name: str) -> str | None:
    """The module of ours that an imported name lies in, or None."""
    while name:
        if name in NAMES:
            return name
        name = name.rpartition(".")[0]
    return None


def under(name: str, package: str) -> bool:
    return name == package or name.startswith(package + ".")


def told(problems: list[str]) -> None:
    assert not problems, "\n" + "\n".join(problems)


def test_imports_are_absolute():
    told([f"{m.path}:{line} imports {name}" for m in MODULES for line, name in m.imports if name.startswith(".")])


def test_builder_knows_nothing_of_ot2deploy():
    told(
        [
            f"{m.path}:{line} imports {name}: builder is the lower layer"
            for m in MODULES
            if m.path.startswith("builder/")
            for line, name in m.imports
            if under(name, "ot2deploy")
        ]
    )


def test_what_runs_on_robots_imports_the_standard_library_and_itself():
    problems = []
    for module in (m for m in MODULES if m.on_robots):
        own = ("builder.checks",) if module.path.startswith("builder/") else ("builder.checks", "ot2deploy.agent")
        for line, name in module.imports:
            standard = name.partition(".")[0] in sys.stdlib_module_names and not any(under(name, y) for y in YOUNG)
            if not (standard or any(under(name, package) for package in own)):
                problems.append(f"{module.path}:{line} imports {name}, which the oldest robot does not have")
    told(problems)


@pytest.mark.parametrize("module", [m for m in MODULES if m.on_robots], ids=lambda m: m.path)
def test_what_runs_on_robots_is_python_3_7(module):
    tree = ast.parse(module.text, module.path, feature_version=(3, 7))
    postponed = any(name == "__future__.annotations" for _, name in module.imports)
    for node in ast.walk(tree):
        where = f"{module.path}:{getattr(node, 'lineno', 0)}"
        assert not isinstance(node, ast.NamedExpr | ast.Match | ast.TryStar), f"{where} is newer than Python 3.7"
        if isinstance(node, ast.arguments):
            assert not node.posonlyargs, f"{module.path} has positional-only parameters"
        if isinstance(node, ast.arg | ast.AnnAssign) and node.annotation is not None and not postponed:
            said = ast.unparse(node.annotation)
            newer = "|" in said or said.startswith(("list[", "dict[", "tuple[", "set["))
            assert not newer, f"{where}: {said} is evaluated, and newer than Python 3.7"
        if isinstance(node, ast.JoinedStr):
            written = ast.get_source_segment(module.text, node) or ""
            assert "=}" not in written, f"{where}: {written} is newer than Python 3.7"


def test_a_library_stays_in_its_module():
    problems = []
    for module in MODULES:
        for line, name in module.imports:
            for library, places in ONLY_IN.items():
                if under(name, library) and not any(module.path.startswith(place) for place in places):
                    problems.append(
                        f"{module.path}:{line} imports {name}; it belongs into {', '.join(places) or 'none'}"
                    )
    told(problems)


def test_ssh_is_spoken_in_one_module():
    problems = []
    for module in MODULES:
        if module.path == "ot2deploy/transport/ssh.py":
            continue
        for node in ast.walk(module.tree):
            attribute = isinstance(node, ast.Attribute) and ast.unparse(node.value) == "paramiko"
            if attribute and node.attr in CLIENT_SIDE:
                problems.append(f"{module.path}:{node.lineno} uses paramiko.{node.attr}")
        problems += [
            f"{module.path}:{line} imports {name}"
            for line, name in module.imports
            if under(name, "paramiko") and name.rpartition(".")[2] in CLIENT_SIDE
        ]
    told(problems)


def test_http_is_spoken_in_one_module():
    problems = []
    for module in MODULES:
        if module.path == "builder/fetch.py":
            continue
        names = {name for _, name in module.imports}
        uses = any(
            isinstance(node, ast.Attribute)
            and ast.unparse(node.value) == "requests"
            and node.attr in ("get", "post", "put", "delete", "request", "Session")
            for node in ast.walk(module.tree)
        )
        if uses or "requests.Session" in names:
            problems.append(f"{module.path} speaks HTTP; builder/fetch.py does that")
    told(problems)


def test_processes_are_started_in_one_module():
    starters = {"system", "popen", "posix_spawn", "posix_spawnp", "spawnv", "spawnve"}
    told(
        [
            f"{module.path}:{node.lineno} uses os.{node.attr}"
            for module in MODULES
            if not module.on_robots
            for node in ast.walk(module.tree)
            if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "os" and node.attr in starters
        ]
    )


def test_no_import_leads_round_in_a_circle():
    """Lazy imports count: a cycle that only works because of one is still a cycle."""
    edges = {
        module.name: sorted({t for _, name in module.imports if (t := target(name)) and t != module.name})
        for module in MODULES
    }
    told([" -> ".join(cycle) for cycle in _cycles(edges)])


def _cycles(edges: dict[str, list[str]]) -> list[list[str]]:
    """One cycle for each back edge that a depth-first walk finds."""
    found: list[list[str]] = []
    done: set[str] = set()

    def walk(name: str, path: list[str]) -> None:
        if name in path:
            found.append([*path[path.index(name) :], name])
            return
        if name in done:
            return
        for other in edges.get(name, ()):
            walk(other, [*path, name])
        done.add(name)

    for name in edges:
        walk(name, [])
    return found


def test_the_walk_finds_a_circle():
    assert _cycles({"a": ["b"], "b": ["c"], "c": ["a"], "d": ["a"]}) == [["a", "b", "c", "a"]]


@pytest.mark.parametrize("module", MODULES, ids=lambda m: m.path)
def test_a_module_says_its_reason_and_stays_small(module):
    said = ast.get_docstring(module.tree)
    assert said, f"{module.path}: the first line is to say the module's one reason"
    count = len(module.text.splitlines())
    assert count <= MOST_LINES, f"{module.path} has {count} lines; over {MOST_LINES} it has more than one reason"


@pytest.mark.parametrize("module", MODULES, ids=lambda m: m.path)
def test_a_module_has_a_name_of_its_own(module):
    last = module.name.rpartition(".")[2]
    assert last not in ("utils", "common", "helpers", "misc"), f"{module.path}: named by what it does, please"
    if module.path not in STDLIB_WORDS and not last.startswith("__"):
        assert last not in sys.stdlib_module_names, f"{module.path}: {last} is a module of the standard library"


def test_public_functions_and_classes_have_docstrings():
    problems = []
    for module in (m for m in MODULES if not m.path.startswith("ot2deploy/cli/")):
        for node in module.tree.body:
            named = isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_")
            if named and ast.get_docstring(node) is None:
                problems.append(f"{module.path}:{node.lineno} {node.name} has no docstring")
    told(problems)
