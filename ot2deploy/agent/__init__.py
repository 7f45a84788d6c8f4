"""What runs on robots: installs, verifies and switches releases. Standard library only, Python 3.7 syntax.

It comes to a robot as one archive (ot2deploy/agent_host/archive.py) and imports nothing but itself and builder.checks.
"""

PROTOCOL = 1  # of the frames and requests
SCHEMA = 1  # of the state on a robot: facts.json, verified.json, manifest.json, journal, lock
LAYOUT = 1  # of a release's directory
