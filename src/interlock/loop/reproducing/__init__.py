"""Run a recorded run again from what was kept of it, and say whether the same comes out."""
