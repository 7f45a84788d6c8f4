"""Where the programs of a build run: on this host, or in a container; the front end knows neither."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from builder.build.request import Uv
from builder.run import environment, run
from builder.toolchain.compiler import Compiler
from builder.toolchain.interpreter import Interpreter, find_interpreter


class Place(Protocol):
    """A place with a CPython of the target's minor, where requirements are installed and hooks run."""

    @property
    def identity(self) -> Mapping[str, Any] | None:
        """What it is, as JSON values; None for this host."""

    @property
    def interpreter(self) -> Interpreter:
        """The CPython that back ends run in."""

    @property
    def search(self) -> str:
        """PATH there, for programs that are neither the build's own nor the toolchain's."""

    def seen(self, text: str) -> str:
        """A text with paths of this host as it must read there."""

    def compiler(self, compiler: Compiler) -> Compiler:
        """The same compiler as a program that runs there."""

    def make_environment(self, venv: Path) -> None:
        """Makes a virtual environment without pip."""

    def install(
        self,
        venv: Path,
        requirements: Sequence[str],
        *,
        constraints: Sequence[str] = (),
        exclude_newer: str | None = None,
        log: Path,
    ) -> None:
        """Installs requirements into an environment. Raises BuildFailure."""

    def freeze(self, venv: Path) -> tuple[str, ...]:
        """What an environment holds, as name==version."""

    def run(
        self,
        argv: Sequence[str | Path],
        *,
        cwd: Path,
        variables: Mapping[str, str],
        log: Path,
        timeout: float,
        subject: str,
        called: str = "",
    ) -> None:
        """Runs a program with a clean environment and `variables`; all paths are the host's. `called` is what errors
        call it. Raises ToolFailure, and DiskFailure when it says that the disk was full."""


@dataclass(frozen=True, kw_only=True)
class Here:
    """This host: uv makes the environments, and programs run as they are."""

    uv: Uv
    interpreter: Interpreter
    identity: None = None

    @property
    def search(self) -> str:
        """The user's own PATH."""
        return os.environ.get("PATH", os.defpath)

    def seen(self, text: str) -> str:
        """The text as it is."""
        return text

    def compiler(self, compiler: Compiler) -> Compiler:
        """The compiler as it is."""
        return compiler

    def make_environment(self, venv: Path) -> None:
        """Makes a virtual environment without pip."""
        self.uv.venv(venv, python=self.interpreter.path)

    def install(
        self,
        venv: Path,
        requirements: Sequence[str],
        *,
        constraints: Sequence[str] = (),
        exclude_newer: str | None = None,
        log: Path,
    ) -> None:
        """Installs host wheels."""
        python = venv / "bin" / "python"
        self.uv.install(
            python, tuple(requirements), constraints=tuple(constraints), exclude_newer=exclude_newer, log=log
        )

    def freeze(self, venv: Path) -> tuple[str, ...]:
        """What an environment holds."""
        return self.uv.freeze(venv / "bin" / "python")

    def run(
        self,
        argv: Sequence[str | Path],
        *,
        cwd: Path,
        variables: Mapping[str, str],
        log: Path,
        timeout: float,
        subject: str,
        called: str = "",
    ) -> None:
        """Runs a program on this host."""
        run(argv, cwd=cwd, env=environment(variables), log=log, timeout=timeout, subject=subject, called=called)


def here(uv: Uv, minor: str) -> AbstractContextManager[Place]:
    """This host with its CPython of a minor ("3.10"). Raises BuildFailure with what to install."""
    return nullcontext(Here(uv=uv, interpreter=find_interpreter(minor)))
