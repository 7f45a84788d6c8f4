"""A person whose answers are known, for tests of enrolling."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(kw_only=True)
class Script:
    """A person who gives the answers in turn; `told` is what was said, questions among it. No answer is left over."""

    answers: bool = True
    given: list[Any] = field(default_factory=list)
    told: list[str] = field(default_factory=list)

    def tell(self, text: str) -> None:
        self.told.append(text)

    def name(self, usual: str) -> str:
        return str(self._next(f"name, usually {usual}") or usual) if self.answers else usual

    def agrees(self, question: str) -> bool:
        return self.answers and bool(self._next(question))

    def passphrase(self, of: str) -> str:
        return str(self._next(f"passphrase of {of}"))

    def plugged_in(self) -> bool:
        return bool(self._next("the next one?"))

    def _next(self, question: str) -> Any:
        self.told.append(question)
        answer = self.given.pop(0)
        if answer is KeyboardInterrupt:
            raise KeyboardInterrupt
        return answer() if callable(answer) else answer

    @property
    def text(self) -> str:
        return "\n".join(self.told)
