"""One folder per technology; each module implements one port with it."""
