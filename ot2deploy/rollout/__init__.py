"""A push: the plan for each robot, how it is carried out, and in which order over a fleet."""
