"""Run work on this machine: in this thread, or in a pool of processes."""
