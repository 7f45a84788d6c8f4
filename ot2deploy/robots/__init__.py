"""What a robot is and has on it, asked and changed one robot at a time."""
