"""Every wanted package as an audited wheel: from the store, an index, the lock, by repair or by a build."""

from builder.acquire.job import Acquired, PassedOver
from builder.acquire.many import Gathered, acquire_all, gather
from builder.acquire.one import acquire, acquire_project

__all__ = ["Acquired", "Gathered", "PassedOver", "acquire", "acquire_all", "acquire_project", "gather"]
