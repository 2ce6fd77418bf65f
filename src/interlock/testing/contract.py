"""The ground that every contract suite stands on: which stores are tested, and what a backend waives."""

from __future__ import annotations

import inspect
from typing import ClassVar

import pytest

from interlock.ports.stores import Stores


class Contract:
    """Base of the contract suites.

    A backend tests itself by subclassing each suite and providing the fixture `stores`, a fresh and empty
    bundle. A gap is declared on the subclass in `waives`: test name → reason; a waived test must fail, and one
    that passes fails the run, so that the list cannot go stale.

    Example:
        class TestMyBackend(JournalContract):
            waives = {"test_walk_ends_on_cycles": "no recursive queries, issue 12"}

            @pytest.fixture
            def stores(self):
                return my_stores()
    """

    waives: ClassVar[dict[str, str]] = {}

    @pytest.fixture
    def stores(self) -> Stores:
        """Return a fresh, empty bundle of stores over the backend under test."""
        raise AssertionError(f"{type(self).__name__} must define the fixture 'stores'")

    @pytest.fixture(autouse=True)
    def _waive(self, request: pytest.FixtureRequest) -> None:
        name = request.node.originalname
        known = {member for member, _ in inspect.getmembers(type(self)) if member.startswith("test_")}
        stale = set(self.waives) - known
        assert not stale, f"{type(self).__name__} waives tests that do not exist: {sorted(stale)}"
        if name in self.waives:
            request.node.add_marker(pytest.mark.xfail(reason=self.waives[name], strict=True))
