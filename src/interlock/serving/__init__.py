"""Answer requests: check them against the signature, route them, log what was answered."""
