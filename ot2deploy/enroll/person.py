"""Whom enrolling asks and tells: a person at a terminal, or nobody."""

from __future__ import annotations

from typing import Protocol


class ThatWasAll(Exception):
    """Somebody said, instead of an answer, that no further robot is to be enrolled."""


class Person(Protocol):
    """Somebody who can be asked. Where `answers` is False nobody is there: the answer is the safe or the usual one."""

    @property
    def answers(self) -> bool:
        """Whether somebody answers."""

    def tell(self, text: str) -> None:
        """Says something."""

    def name(self, usual: str) -> str:
        """The name that a robot is to have; "" where it is to be left out. Raises ThatWasAll."""

    def agrees(self, question: str) -> bool:
        """A yes or no; no where nobody answers."""

    def passphrase(self, of: str) -> str:
        """A key's passphrase, not shown; "" where there is none to be had."""

    def plugged_in(self) -> bool:
        """Waits until the next robot is plugged in; False when that was the last one."""
