"""Stands for a server: holds its socket, says that it runs, and ends when told to, or with a pipe at its input."""

from __future__ import annotations

import os
import stat


def main() -> None:
    print("idling", flush=True)
    if not stat.S_ISFIFO(os.fstat(0).st_mode):
        # nothing was put at the input of one that is kept: this pipe never ends
        os.dup2(os.pipe()[0], 0)
    os.read(0, 1)


if __name__ == "__main__":
    main()
