"""Contract suites, state machines and strategies: what every backend of a port must pass."""
