"""Whether a wheel runs where it is going: every file read, every need compared with a profile."""

from builder.audit.auditor import audit
from builder.audit.findings import Finding
from builder.audit.result import AUDIT_VERSION, Audit
from builder.audit.runtimes import proven_platform

__all__ = ["AUDIT_VERSION", "Audit", "Finding", "audit", "proven_platform"]
