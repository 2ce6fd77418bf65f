"""What the machine is and what it uses, as far as it lets itself be read."""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from interlock.experiments import hardware
from interlock.experiments.hardware import Sampler, gpu_names, machine


@pytest.fixture(autouse=True)
def fresh() -> None:
    gpu_names.cache_clear()


def test_the_machine_says_what_it_is() -> None:
    found = machine()
    assert found["cpus"] == os.cpu_count()
    assert found["memory_bytes"] > 1 << 20


def test_a_sample_has_the_processor_the_memory_and_the_process(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(hardware, "POWERCAP", tmp_path)
    found = Sampler().sample()
    assert 0 <= found["system/cpu_percent"] <= 100
    assert 0 < found["system/memory_percent"] <= 100
    assert found["system/process_memory_bytes"] > 1 << 20
    assert found["system/process_threads"] >= 1
    assert all(value >= 0 for value in found.values())
    assert not any("gpu" in key or "energy" in key for key in found)


def counter(folder: Path, name: str, microjoules: int) -> None:
    (folder / name).mkdir(exist_ok=True)
    (folder / name / "energy_uj").write_text(f"{microjoules}\n")
    (folder / name / "max_energy_range_uj").write_text("10000000\n")


def test_energy_is_counted_over_packages_and_over_the_end_of_a_counter(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(hardware, "POWERCAP", tmp_path)
    for name in ("intel-rapl:0", "intel-rapl:1"):
        counter(tmp_path, name, 9_000_000)
    # a part of a package, which the package counts already
    counter(tmp_path, "intel-rapl:0:0", 1_000_000)
    sampler = Sampler()
    counter(tmp_path, "intel-rapl:0", 9_500_000)
    counter(tmp_path, "intel-rapl:0:0", 1_500_000)
    assert sampler.sample()["system/cpu_energy_j"] == pytest.approx(0.5)
    counter(tmp_path, "intel-rapl:1", 1_000_000)
    assert sampler.sample()["system/cpu_energy_j"] == pytest.approx(0.5 + 2.0)


def test_counters_that_may_not_be_read_are_left_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(hardware, "POWERCAP", tmp_path)
    (tmp_path / "intel-rapl:0").mkdir()
    assert "system/cpu_energy_j" not in Sampler().sample()


class NvmlError(Exception):
    """What NVIDIA's library raises."""


def library(*, fails: bool = False) -> Any:
    """Return what `pynvml` looks like: two GPUs, of which none knows its power."""

    def begin() -> None:
        if fails:
            raise NvmlError

    def no_power(handle: int) -> int:
        raise NvmlError

    return SimpleNamespace(
        NVMLError=NvmlError,
        nvmlInit=begin,
        nvmlDeviceGetCount=lambda: 2,
        nvmlDeviceGetHandleByIndex=lambda at: at,
        nvmlDeviceGetName=lambda handle: [b"A100", "H100"][handle],
        nvmlDeviceGetUtilizationRates=lambda handle: SimpleNamespace(gpu=40 + handle),
        nvmlDeviceGetMemoryInfo=lambda handle: SimpleNamespace(used=1000),
        nvmlDeviceGetPowerUsage=no_power,
        nvmlDeviceGetTemperature=lambda handle, kind: 61,
        nvmlDeviceGetTotalEnergyConsumption=lambda handle: 5000,
    )


def test_gpus_are_named_and_sampled(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(hardware, "_NVIDIA", tmp_path)
    real = importlib.import_module
    monkeypatch.setattr(hardware.importlib, "import_module", lambda name: library() if name == "pynvml" else real(name))
    assert machine()["gpus"] == ["A100", "H100"]
    found = Sampler().sample()
    assert (found["system/gpu0_percent"], found["system/gpu1_percent"]) == (40, 41)
    assert (found["system/gpu1_energy_j"], found["system/gpu0_temperature_c"]) == (5, 61)
    assert "system/gpu0_power_w" not in found


@pytest.mark.parametrize("missing", [True, False])
def test_without_a_library_or_a_driver_there_are_no_gpus(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, missing: bool
) -> None:
    monkeypatch.setattr(hardware, "_NVIDIA", tmp_path)

    def load(name: str) -> Any:
        if missing:
            raise ImportError(name)
        return library(fails=True)

    monkeypatch.setattr(hardware.importlib, "import_module", load)
    assert "gpus" not in machine()
