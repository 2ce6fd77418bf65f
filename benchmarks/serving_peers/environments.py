"""Make the clean environment of each peer, and weigh it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from serving_peers.catalogue import INTERLOCK, PEERS, Peer

UV = str(Path(sys.executable).parent / "uv")


def build(peers: Path, names: list[str]) -> None:
    """Make those that are not there: the newest versions, this Python, byte-code compiled."""
    for peer in PEERS:
        target = peers / f"serving-{peer.name}"
        if not peer.requirements or (names and peer.name not in names):
            continue
        if (target / "bin" / "python").exists():
            print(f"{target} is there")
            continue
        python = str(target / "bin" / "python")
        install = [UV, "pip", "install", "--quiet", "--compile-bytecode", "--python", python, *peer.requirements]
        made = subprocess.run([UV, "venv", "--quiet", "--python", sys.executable, str(target)], check=False)
        done = made.returncode or subprocess.run(install, check=False).returncode
        print(f"{target} {'could not be made' if done else 'made'}: {' '.join(peer.requirements)}", flush=True)


def weight(peer: Peer, peers: Path | None) -> tuple[float, int] | None:
    """Return the size of a peer's clean environment in MB (without byte-code) and its packages, if there is one."""
    name = peer.name if peer.name == INTERLOCK else (peer.environment or peer.name)
    folder = (peers or Path("nowhere")) / f"serving-{name}"
    if not (folder / "bin" / "python").exists():
        return None
    files = (path for path in folder.rglob("*") if path.suffix != ".pyc" and path.is_file() and not path.is_symlink())
    size = sum(path.stat().st_size for path in files)
    return size / 1e6, len(list(folder.glob("lib/python*/site-packages/*.dist-info")))
