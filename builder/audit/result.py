"""What an audit says in the end: a value that the store keeps and every command prints."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from builder.audit.elf import Binary
from builder.audit.findings import ERROR, Finding
from builder.errors import AuditFailure

# Raised with every change of what an audit finds: a stored audit of another version is made anew.
AUDIT_VERSION = 2


@dataclass(frozen=True, kw_only=True)
class Audit:
    """All findings about one wheel for one profile, and the facts of its ELF files.

    `max_glibc` is the newest glibc that ld.so insists on, (2, minor), or None where no file needs a version.
    """

    filename: str
    profile: str
    findings: tuple[Finding, ...]
    binaries: tuple[Binary, ...]
    max_glibc: tuple[int, int] | None

    @property
    def ok(self) -> bool:
        """Whether the wheel may be used: no finding is an error."""
        return not self.errors

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings that refuse the wheel."""
        return tuple(finding for finding in self.findings if finding.severity == ERROR)

    def require(self) -> None:
        """Raises AuditFailure, with every finding that is an error, when the wheel was refused."""
        if self.ok:
            return
        first, more = self.errors[0], len(self.errors) - 1
        raise AuditFailure(
            f"does not fit {self.profile}: {first.message} ({first.id})" + (f" and {more} more" if more else ""),
            subject=self.filename,
            details=tuple(map(str, self.errors)),
        )

    def as_dict(self) -> dict[str, Any]:
        """The audit as JSON values."""
        return {
            "version": AUDIT_VERSION,
            "filename": self.filename,
            "profile": self.profile,
            "ok": self.ok,
            "max_glibc": list(self.max_glibc) if self.max_glibc else None,
            "findings": [asdict(finding) for finding in self.findings],
            "binaries": [binary.as_dict() for binary in self.binaries],
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Audit | None:
        """The audit that `as_dict` gave, or None when another AUDIT_VERSION wrote it."""
        if data.get("version") != AUDIT_VERSION:
            return None
        glibc = data["max_glibc"]
        return cls(
            filename=data["filename"],
            profile=data["profile"],
            findings=tuple(Finding(**finding) for finding in data["findings"]),
            binaries=tuple(Binary.from_dict(binary) for binary in data["binaries"]),
            max_glibc=(glibc[0], glibc[1]) if glibc else None,
        )
