"""Modules are traced to the distributions that bring them."""

from __future__ import annotations

import importlib.metadata
import sys
from types import ModuleType

import numpy
import pytest

from interlock.core import libraries
from interlock.core.libraries import distribution_of, imported_libraries, is_standard, module_file


@pytest.mark.parametrize(
    ("module", "name"),
    [("numpy", "numpy"), ("numpy.linalg", "numpy"), ("sklearn.tree", "scikit-learn"), ("_pytest.config", "pytest")],
)
def test_a_module_has_a_distribution(module: str, name: str) -> None:
    assert distribution_of(module) == (name, importlib.metadata.version(name))


def test_project_code_has_none() -> None:
    assert distribution_of("tests.unit") is None
    assert distribution_of("nowhere_to_be_found") is None


def test_the_environment_is_scanned_only_for_installed_modules(monkeypatch: pytest.MonkeyPatch) -> None:
    def scanned() -> None:
        raise AssertionError("scanned")

    monkeypatch.setattr(libraries, "_owners", scanned)
    monkeypatch.setitem(sys.modules, "made_up_project", ModuleType("made_up_project"))
    assert distribution_of("made_up_project") is None


def test_files_say_whose_a_module_is() -> None:
    owners = libraries._owners()
    assert owners["numpy"] == ["numpy"]
    assert owners["sklearn"] == ["scikit-learn"]
    slowly = libraries._slowly_found()
    assert all(slowly[root] == names for root, names in owners.items() if root in slowly and root.isidentifier())


def test_what_shares_a_folder_is_known_by_its_full_name(monkeypatch: pytest.MonkeyPatch) -> None:
    space = ModuleType("sharing")
    space.__path__ = ["/x/site-packages/sharing"]
    monkeypatch.setitem(sys.modules, "sharing", space)
    monkeypatch.setitem(sys.modules, "sharing.part", ModuleType("sharing.part"))
    versions = {"sharing.part": "1.2"}

    def version(name: str) -> str:
        if name not in versions:
            raise importlib.metadata.PackageNotFoundError(name)
        return versions[name]

    monkeypatch.setattr(libraries.metadata, "version", version)
    distribution_of.cache_clear()
    try:
        assert distribution_of("sharing") == ("sharing.part", "1.2")
    finally:
        distribution_of.cache_clear()


def test_what_this_process_imported_is_listed() -> None:
    found = imported_libraries()
    assert found["numpy"] == numpy.__version__
    assert found["pytest"] == pytest.__version__
    assert "interlock-made-up" not in found
    assert list(found) == sorted(found)


def test_standard_modules_are_known() -> None:
    assert is_standard("os.path")
    assert not is_standard("numpy")


def test_a_namespace_package_has_its_folder() -> None:
    space = ModuleType("space")
    assert module_file(space) == ""
    space.__path__ = ["/somewhere"]
    assert module_file(space) == "/somewhere"
