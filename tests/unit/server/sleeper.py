"""Sleep until the parent ends, or, deaf, for good."""

import signal
import sys
import time

from interlock.server.children import end_with_parent

if __name__ == "__main__":
    if "--deaf" in sys.argv:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    end_with_parent()
    time.sleep(60)
