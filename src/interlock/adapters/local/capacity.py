"""Count what this machine has, and who holds how much of it."""

from __future__ import annotations

import os
from pathlib import Path

from interlock.core.errors import InvalidInput
from interlock.ports.executor import Call, Resources

_ROUNDING = 1e-9


class Capacity:
    """Processors, graphics processors and memory, lent to calls while they run; not thread-safe.

    Args:
        cpus: How many calls of one cpu run at once.
        gpus: How many graphics processors there are.
        memory_bytes: How much memory calls that name a limit may be promised in all.
    """

    def __init__(self, cpus: int, gpus: int, memory_bytes: int) -> None:
        self.cpus = cpus
        self._free_cpus = float(cpus)
        self._gpus = [1.0] * gpus
        self._memory_bytes = memory_bytes
        self._free_bytes = memory_bytes

    def check(self, call: Call) -> None:
        """Refuse a call that will never fit.

        Raises:
            InvalidInput: It needs more of something than there is.
        """
        needs = call.resources
        for what, needed, there in (
            ("cpus", needs.cpus, float(self.cpus)),
            ("gpus", needs.gpus, float(len(self._gpus))),
            ("memory_bytes", float(needs.memory_bytes or 0), float(self._memory_bytes)),
        ):
            if needed > there:
                raise InvalidInput(
                    f"{call.label} needs {what}={needed:g}, and there is {there:g} here",
                    why="it would wait for ever",
                    fix=f"ask for at most {there:g}, or run it on a larger machine or a cluster (on='ray', on='dask')",
                )

    def fits(self, needs: Resources) -> bool:
        """Say whether a call can start now."""
        return (
            needs.cpus <= self._free_cpus + _ROUNDING
            and (needs.memory_bytes or 0) <= self._free_bytes
            and self._devices(needs.gpus) is not None
        )

    def take(self, needs: Resources) -> list[int]:
        """Lend a call what it needs; return the numbers of its graphics processors."""
        devices = self._devices(needs.gpus) or []
        self._free_cpus -= needs.cpus
        self._free_bytes -= needs.memory_bytes or 0
        for device in devices:
            self._gpus[device] -= min(needs.gpus, 1.0)
        return devices

    def give_back(self, needs: Resources, devices: list[int]) -> None:
        """Take back what a call was lent."""
        self._free_cpus += needs.cpus
        self._free_bytes += needs.memory_bytes or 0
        for device in devices:
            self._gpus[device] += min(needs.gpus, 1.0)

    def _devices(self, gpus: float) -> list[int] | None:
        """Choose devices: whole ones, or the fullest that a fraction still fits on; None if there are none now."""
        share, count = min(gpus, 1.0), max(1, round(gpus)) if gpus else 0
        free = [device for device, left in enumerate(self._gpus) if left + _ROUNDING >= share]
        free.sort(key=lambda device: self._gpus[device])
        return free[:count] if len(free) >= count else None


def gpus_here() -> int:
    """Count the graphics processors that programs may use."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return len([device for device in visible.split(",") if device.strip() not in ("", "-1")])
    return len(list(Path("/dev").glob("nvidia[0-9]*")))


def memory_here_bytes() -> int:
    """Return how much memory this machine has."""
    import psutil

    return int(psutil.virtual_memory().total)
