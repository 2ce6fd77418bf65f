from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from interlock.server.joined_writes import JoinedWrites


class Recording:
    """A transport that remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[Any] = []
        self.closing = False

    def write(self, data: bytes) -> None:
        self.told.append(data)

    def close(self) -> None:
        self.told.append("close")

    def is_closing(self) -> bool:
        return self.closing

    def get_extra_info(self, name: str) -> str:
        return f"info about {name}"


def told(use: Callable[[JoinedWrites, Recording], None]) -> list[Any]:
    """Return what the transport was told, by the time the loop came round once."""

    async def run() -> list[Any]:
        recording = Recording()
        use(JoinedWrites(recording), recording)  # type: ignore[arg-type]
        await asyncio.sleep(0)
        return recording.told

    return asyncio.run(run())


def test_writes_of_one_round_go_out_together() -> None:
    def use(joined: JoinedWrites, recording: Recording) -> None:
        joined.write(b"head")
        joined.write(b"body")
        assert recording.told == []

    assert told(use) == [b"headbody"]


def test_writes_of_several_rounds_go_out_as_they_come() -> None:
    async def run() -> list[Any]:
        recording = Recording()
        joined = JoinedWrites(recording)  # type: ignore[arg-type]
        for chunk in (b"one", b"two"):
            joined.write(chunk)
            await asyncio.sleep(0)
        return recording.told

    assert asyncio.run(run()) == [b"one", b"two"]


def test_what_waits_goes_out_before_the_end() -> None:
    def use(joined: JoinedWrites, recording: Recording) -> None:
        joined.write(b"last")
        joined.close()

    assert told(use) == [b"last", "close"]


def test_nothing_is_written_to_a_transport_that_was_closed_meanwhile() -> None:
    def use(joined: JoinedWrites, recording: Recording) -> None:
        joined.write(b"too late")
        recording.closing = True

    assert told(use) == []


def test_everything_else_is_the_transports() -> None:
    found: list[str] = []
    told(lambda joined, recording: found.append(joined.get_extra_info("peername")))
    assert found == ["info about peername"]
