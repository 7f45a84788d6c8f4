"""The host's side of the agent: brings it to robots, talks to it, and judges what it says."""
