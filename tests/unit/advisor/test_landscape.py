from __future__ import annotations

from collections import Counter
from typing import get_args

import pytest

from interlock.advisor.landscape import STATIONS, Kind, Ring, landscape, tool_named, tools
from interlock.core.errors import InvalidInput


def test_every_tool_is_complete_and_named_once() -> None:
    assert 60 <= len(landscape()) <= 120
    assert Counter(tool.name.casefold() for tool in landscape()).most_common(1)[0][1] == 1
    for tool in landscape():
        assert tool.stations, tool.name
        assert set(tool.stations) <= set(STATIONS), tool.name
        assert tool.licence, tool.name
        assert tool.why.endswith("."), tool.name
        assert bool(tool.how) == (tool.join != "none"), tool.name
        assert not tool.planned or tool.join != "none", tool.name


def test_every_station_kind_and_ring_has_tools() -> None:
    for station in STATIONS:
        assert tools(station=station), station
    for kind in get_args(Kind):
        assert tools(kind=kind), kind
    for ring in get_args(Ring):
        assert tools(ring=ring), ring


def test_filters_join() -> None:
    found = tools(station="serve", ring="hold")
    assert [tool.name for tool in found] == ["MLServer", "Seldon Core 2", "TorchServe"]
    assert tools(station="serve", ring="hold", kind="cloud AI platform") == []


def test_tools_come_by_name() -> None:
    names = [tool.name.casefold() for tool in landscape()]
    assert names == sorted(names)
    assert tools() == list(landscape())


def test_unknown_filters_and_names() -> None:
    with pytest.raises(InvalidInput, match="no station 'serv'") as caught:
        tools(station="serv")
    assert caught.value.why == "did you mean 'serve'?"
    with pytest.raises(InvalidInput, match="no ring"):
        tools(ring="avoid")
    with pytest.raises(InvalidInput, match="no kind"):
        tools(kind="app")
    assert tool_named("mlflow").name == "MLflow"
    with pytest.raises(InvalidInput, match="not in the landscape"):
        tool_named("MLflaw")
