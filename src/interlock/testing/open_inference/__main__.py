"""Hold a server against the checks: `python -m interlock.testing.open_inference http://127.0.0.1:8080`."""

from __future__ import annotations

import sys

from interlock.testing.open_inference.command import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
