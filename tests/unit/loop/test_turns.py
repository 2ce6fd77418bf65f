from __future__ import annotations

import subprocess
import sys
import threading
import time

import pytest

from interlock.core.errors import Conflict
from interlock.loop.loop import Loop
from interlock.loop.turns import NAME, TTL_S, TurnRight
from tests.unit.loop.world import START, World


def right(world: World) -> TurnRight:
    return TurnRight(world.stores.leases, world.clock)


def test_only_one_turns_at_a_time(world: World) -> None:
    other = Loop(world)  # type: ignore[arg-type]
    with other.right.held(), pytest.raises(Conflict) as caught:
        world.loop.tick(upto=START)
    assert "another process" in caught.value.what
    world.loop.tick(upto=START)


def test_the_holder_may_turn_again_and_gives_it_back_at_the_end(world: World) -> None:
    mine, other = right(world), right(world)
    with mine.held():
        with mine.held():
            pass
        with pytest.raises(Conflict), other.held():
            pass
    with other.held():
        pass


def test_it_is_given_back_after_an_error(world: World) -> None:
    mine = right(world)
    with pytest.raises(ZeroDivisionError), mine.held():
        raise ZeroDivisionError
    with right(world).held():
        pass


def test_one_can_wait_for_it(world: World) -> None:
    mine, other = right(world), right(world)
    taken = threading.Event()

    def hold() -> None:
        with other.held():
            taken.set()
            time.sleep(0.3)

    thread = threading.Thread(target=hold)
    thread.start()
    taken.wait()
    with mine.held(wait_s=10):
        assert not thread.is_alive() or world.stores.leases.find(NAME) is not None
    thread.join()


def test_a_killed_holder_of_this_machine_is_seen_at_once(world: World) -> None:
    dead = subprocess.Popen([sys.executable, "-c", "pass"])
    dead.wait()
    mine = right(world)
    holder = mine._holder.replace(f":{mine._holder.split(':')[1]}:", f":{dead.pid}:")
    world.stores.leases.acquire(NAME, holder=holder, ttl_s=TTL_S, now=world.clock.now())
    with mine.held(wait_s=5):
        pass


@pytest.mark.parametrize("holder", ["elsewhere:1:x", "nonsense", ""])
def test_a_holder_elsewhere_lapses_by_itself(world: World, holder: str) -> None:
    world.stores.leases.acquire(NAME, holder=holder or "x", ttl_s=TTL_S, now=world.clock.now())
    with pytest.raises(Conflict), right(world).held():
        pass
    world.clock.advance(TTL_S + 1)
    with right(world).held():
        pass
