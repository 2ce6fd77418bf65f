"""Take real flights data all the way round the loop."""

from __future__ import annotations

import os

from interlock.cli.noun import Here
from interlock.cli.output import Answer
from interlock.demo.main import run_demo


def demo(*, quick: bool = False, session: Here) -> Answer:
    """Take the flights that left New York in 2013 round the loop; what was killed goes on where it stood.

    The workspace is --dir, or INTERLOCK_URI, or a folder interlock-demo here.

    Args:
        quick: Two months instead of the year, in under 20 seconds.
    """
    # the story is told on stderr as it goes; only --json has anything left to say
    return Answer(run_demo(session.uri or os.environ.get("INTERLOCK_URI") or None, quick=quick))
