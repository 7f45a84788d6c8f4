"""One self-contained page about a run: who did what, the fleet as a matrix, a timeline, and every failure's output."""
