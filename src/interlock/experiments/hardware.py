"""Say what machine a run is on, and sample what it uses: processor, memory, disk, network, GPUs, energy."""

from __future__ import annotations

import contextlib
import functools
import importlib
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

POWERCAP = Path("/sys/class/powercap")
_NVIDIA = Path("/proc/driver/nvidia")


def machine() -> dict[str, Any]:
    """Return what is known of this machine without asking for long: processors, memory, GPUs."""
    facts: dict[str, Any] = {"cpus": os.cpu_count() or 0}
    with contextlib.suppress(ValueError, OSError):
        facts["memory_bytes"] = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if names := gpu_names():
        facts["gpus"] = list(names)
    return facts


@functools.lru_cache(maxsize=1)
def gpu_names() -> tuple[str, ...]:
    """Return the names of the NVIDIA GPUs, where there are any and `pynvml` is installed."""
    nvml = _nvml()
    if nvml is None:
        return ()
    names = [nvml.nvmlDeviceGetName(handle) for handle in _gpus(nvml)]
    return tuple(name.decode() if isinstance(name, bytes) else str(name) for name in names)


def _nvml() -> Any:
    """Return NVIDIA's library, begun, or None where there is no GPU or no library."""
    if not _NVIDIA.exists():
        return None
    try:
        nvml = importlib.import_module("pynvml")
    except ImportError:
        return None
    try:
        nvml.nvmlInit()
    except nvml.NVMLError:
        return None
    return nvml


def _gpus(nvml: Any) -> list[Any]:
    return [nvml.nvmlDeviceGetHandleByIndex(at) for at in range(nvml.nvmlDeviceGetCount())]


_GPU_READINGS: dict[str, Callable[[Any, Any], float]] = {
    "percent": lambda nvml, gpu: nvml.nvmlDeviceGetUtilizationRates(gpu).gpu,
    "memory_used_bytes": lambda nvml, gpu: nvml.nvmlDeviceGetMemoryInfo(gpu).used,
    "power_w": lambda nvml, gpu: nvml.nvmlDeviceGetPowerUsage(gpu) / 1000,
    "temperature_c": lambda nvml, gpu: nvml.nvmlDeviceGetTemperature(gpu, 0),
    "energy_j": lambda nvml, gpu: nvml.nvmlDeviceGetTotalEnergyConsumption(gpu) / 1000,
}
"""What each figure of a GPU is read by; energy is since the driver was loaded."""


def prepare() -> None:
    """Import what sampling needs, in the thread that calls this.

    A fork during an import that another thread does would lock that import in the child for ever.
    """
    import psutil  # noqa: F401

    gpu_names()


class Sampler:
    """Samples what the machine and this process use.

    Rates are averages since the sample before. What cannot be read on this machine is left out.
    """

    def __init__(self) -> None:
        import psutil

        self._psutil = psutil
        self._process = psutil.Process()
        self._nvml = _nvml()
        self._before: dict[str, float] = {}
        self._before_at = 0.0
        self._joules = 0.0
        self._counters = dict(_rapl_counters())
        self.sample()

    def sample(self) -> dict[str, float]:
        """Return figures by metric key.

        Unit: percent of one machine or GPU, of one processor for the process; bytes; bytes per second; watts; joules
        since the first sample.
        """
        now = time.monotonic()
        found = {"system/cpu_percent": float(self._psutil.cpu_percent())}
        memory = self._psutil.virtual_memory()
        found["system/memory_percent"] = float(memory.percent)
        found["system/memory_used_bytes"] = float(memory.total - memory.available)
        with self._process.oneshot():
            found["system/process_cpu_percent"] = float(self._process.cpu_percent())
            found["system/process_memory_bytes"] = float(self._process.memory_info().rss)
            found["system/process_threads"] = float(self._process.num_threads())
        found |= self._rates(now)
        found |= self._of_gpus()
        found |= self._energy()
        return found

    def _rates(self, now: float) -> dict[str, float]:
        totals: dict[str, float] = {}
        if (disk := self._psutil.disk_io_counters()) is not None:
            totals |= {"disk_read": float(disk.read_bytes), "disk_written": float(disk.write_bytes)}
        if (net := self._psutil.net_io_counters()) is not None:
            totals |= {"net_sent": float(net.bytes_sent), "net_received": float(net.bytes_recv)}
        past_s = now - self._before_at
        rates = {
            f"system/{key}_bytes_per_s": max(0.0, total - self._before[key]) / past_s
            for key, total in totals.items()
            if key in self._before and past_s > 0
        }
        self._before, self._before_at = totals, now
        return rates

    def _of_gpus(self) -> dict[str, float]:
        found: dict[str, float] = {}
        nvml = self._nvml
        for at, handle in enumerate(_gpus(nvml) if nvml is not None else []):
            for name, read in _GPU_READINGS.items():
                try:
                    found[f"system/gpu{at}_{name}"] = float(read(nvml, handle))
                except nvml.NVMLError:
                    # an older card does not know its power, a shared one not its memory
                    continue
        return found

    def _energy(self) -> dict[str, float]:
        """Add up what the processors used, by the counters of RAPL, which begin again at their range."""
        if not self._counters:
            return {}
        for zone, joules in _rapl_counters():
            used = joules - self._counters.get(zone, joules)
            if used < 0:
                used += _range_of(zone)
            self._joules += max(0.0, used)
            self._counters[zone] = joules
        return {"system/cpu_energy_j": self._joules}


def _rapl_counters() -> list[tuple[Path, float]]:
    """Return what each processor package has used, where this user may read it.

    Source: Linux, Documentation/power/powercap/powercap.rst (energy_uj, microjoules).
    """
    found = []
    for zone in sorted(POWERCAP.glob("intel-rapl:[0-9]*")):
        if zone.name.count(":") > 1:
            # part of a package that is counted already
            continue
        try:
            found.append((zone, int((zone / "energy_uj").read_text()) / 1e6))
        except (OSError, ValueError):
            continue
    return found


def _range_of(zone: Path) -> float:
    try:
        return int((zone / "max_energy_range_uj").read_text()) / 1e6
    except (OSError, ValueError):
        return 0.0
