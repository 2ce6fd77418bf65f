"""Give runs that come without one a name that people can say and remember."""

from __future__ import annotations

import random

_QUALITIES = """
amber ample azure brave brisk calm candid clear coral crisp deft eager early even fair fleet fond frank gentle glad
golden grand green hardy hazel honest ivory jolly keen kind level light lively lucid mellow merry mild neat nimble noble
olive opal pale plain polar prime proud quick quiet rapid ready robust rosy royal ruddy sage serene sharp silent silver
simple sleek smooth snug solid spry steady still sturdy subtle sunny swift tawny tidy true upbeat valid vivid warm wise
"""
_CREATURES = """
auk badger bat bear beaver bison bream carp cod coot crab crane crow curlew deer dove duck eagle eel egret elk falcon
finch fox frog gannet goose grebe gull hare hawk heron hobby ibis jay kite lark linnet loon lynx magpie marten mink mole
moose moth newt oriole osprey otter owl perch petrel pike pipit plover puffin quail raven robin rook ruff salmon seal
shrew shrike siskin skua snipe sole stoat stork swan swift teal tern thrush toad trout turtle vole wren
"""
_qualities, _creatures = _QUALITIES.split(), _CREATURES.split()


def run_name() -> str:
    """Return a name like `calm-heron-417`."""
    return f"{random.choice(_qualities)}-{random.choice(_creatures)}-{random.randrange(1000)}"  # noqa: S311
