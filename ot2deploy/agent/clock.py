"""Times as they are written on a robot."""

import time


def now() -> str:
    """The time in UTC to the second, as ISO 8601. A robot's clock may be wrong; nothing is decided by it."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
