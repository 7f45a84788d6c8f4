"""The PEP 517 front end of two worlds: requirements in a clean host environment, hooks with the target's answers."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from builder.build.log import cause
from builder.build.place import Place
from builder.build.request import BuildRequest
from builder.build.sources import Backend
from builder.errors import BuildFailure, ToolFailure

SETUP_PY = ("setuptools", "wheel")
SIGNALLED = 128  # from here on a status says which signal ended a program, as a negative one does
HOOK = Path(__file__).parent / "hook.py"


@dataclass(kw_only=True)
class Frontend:
    """One build's environment and source tree in a place. `variables` are for hooks only; `deadline` is seconds per
    step."""

    request: BuildRequest
    place: Place
    tree: Path
    venv: Path
    backend: Backend
    variables: Mapping[str, str]
    settings: Mapping[str, str | list[str]]
    log: Path
    deadline: float
    scratch: Path
    _count: int = field(default=0, init=False)

    def install_requirements(self) -> tuple[str, ...]:
        """Makes the environment with the static and then the asked-for requirements; what it then holds."""
        recipe = self.request.recipe
        self.place.make_environment(self.venv)
        # With setup.py commands a recipe's list stands for the project's, whose pins may not go with it.
        own = SETUP_PY if self._runs_setup_py() else self.backend.requires
        self._install((*own, *(recipe.build_dependencies if recipe else ())))
        if not self._runs_setup_py():
            self._install(tuple(self._hook("get_requires_for_build_wheel", [dict(self.settings)], optional=True) or ()))
        return self.place.freeze(self.venv)

    def build(self, out: Path) -> Path:
        """Runs the back end (or the recipe's setup.py commands); the wheel it made in `out`."""
        out.mkdir(parents=True, exist_ok=True)
        if self._runs_setup_py():
            self._setup_py(out)
        else:
            self._hook("build_wheel", [str(out), dict(self.settings), None])
        wheels = sorted(out.glob("*.whl"))
        if len(wheels) != 1:
            names = ", ".join(wheel.name for wheel in wheels) or "none"
            raise BuildFailure(f"the build must make one wheel, made {names}", subject=self._subject, next=self._see)
        return wheels[0]

    @property
    def _subject(self) -> str:
        return f"{self.request.name} {self.request.version}"

    @property
    def _see(self) -> str:
        return f"Log: {self.log}"

    def _runs_setup_py(self) -> bool:
        recipe = self.request.recipe
        return bool(recipe and recipe.setup_py_commands and (self.tree / "setup.py").exists())

    def _install(self, requirements: tuple[str, ...]) -> None:
        if not requirements:
            return
        recipe = self.request.recipe
        same = [f"{wheel.name}=={wheel.version}" for wheel in self.request.headers_of]
        self.place.install(
            self.venv,
            requirements,
            constraints=(*(recipe.constraints if recipe else ()), *same),
            exclude_newer=self.request.as_of,
            log=self.log,
        )

    def _hook(self, name: str, arguments: list[Any], *, optional: bool = False) -> Any:
        self._count += 1
        question, answer = (self.scratch / f"hook-{self._count}-{part}.json" for part in ("request", "answer"))
        asked = {"backend": self.backend.name, "backend_path": list(self.backend.path), "hook": name}
        script = Path(shutil.copy(HOOK, self.scratch))
        question.write_text(json.dumps({**asked, "optional": optional, "arguments": self._seen(arguments)}))
        self._run([script, question, answer], f"its build back end ({self.backend.module})", name)
        return json.loads(answer.read_text())

    def _seen(self, value: Any) -> Any:
        """A hook's arguments with paths as they are called in the place."""
        if isinstance(value, str):
            return self.place.seen(value)
        if isinstance(value, list):
            return [self._seen(item) for item in value]
        return {name: self._seen(item) for name, item in value.items()} if isinstance(value, dict) else value

    def _setup_py(self, out: Path) -> None:
        """The commands of a recipe one after the other, as separate processes, told where to work."""
        assert self.request.recipe is not None
        build = self.scratch / "build"
        told: dict[str, list[str | Path]] = {
            "build_ext": ["--build-lib", build / "lib", "--build-temp", build / "temp"],
            "bdist_wheel": ["--dist-dir", out, "--plat-name", f"linux_{self.request.profile.machine}"],
        }
        for command in self.request.recipe.setup_py_commands:
            self._run(["setup.py", *command.split(), *told.get(command, [])], "its setup.py", command)

    def _run(self, words: list[str | Path], who: str, step: str) -> None:
        """Runs a step in the environment. A failure says that `who` failed, and why in the words of what it called."""
        begun = self.log.stat().st_size if self.log.exists() else 0
        try:
            self.place.run(
                [self.venv / "bin" / "python", *words],
                cwd=self.tree,
                variables={**self.variables, "TMPDIR": str(self.scratch)},
                log=self.log,
                timeout=self.deadline,
                subject=self._subject,
                called=f"{who}, in {step},",
            )
        except ToolFailure as failure:
            if failure.status is not None:
                said = cause(self.log, begun) if 0 < failure.status < SIGNALLED else ""
                failure.what = f"{who} failed in {step}: {said or f'status {failure.status}'}"
            raise
