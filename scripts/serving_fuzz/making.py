"""Make the cases of HTTP: from the same seed and number always the same one."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from urllib.parse import quote

from scripts.serving_fuzz import byte_mutations, seeds, tensor_mutations
from scripts.serving_fuzz.cases import Case, Wants, of_bytes
from scripts.serving_fuzz.seeds import Message, Model
from scripts.serving_fuzz.wire_cases import RUDE, WIRE, wire_case

NAMES = ("delay", "tensors", "guess", "talker", "aside")
"""Endpoints that a target may name."""


class Maker:
    """Makes cases.

    Args:
        seed: What all dice are thrown from.
        models: The endpoints whose every answered row is counted.
        aside: Endpoints that are asked what has no ids in its answer, or whose answers are not read.
        alone: Whether the server has one endpoint alone, which paths without a name mean.
    """

    def __init__(self, seed: int, models: Sequence[Model], aside: Sequence[Model] = (), *, alone: bool = False) -> None:
        self._seed = seed
        self._models = models
        self._aside = aside
        self._alone = alone
        self._tabular = [model for model in models if model.is_tabular]

    def case(self, number: int) -> Case:
        """Return the case of a number."""
        seed = f"{self._seed}/{'alone' if self._alone else 'http'}/{number}"
        dice = random.Random(seed)
        model = dice.choice(self._models)
        roll = dice.random()
        if roll < 0.36:
            change = dice.choice(tensor_mutations.MUTATIONS)
            message, wants = change(dice, model)
            return _payload(f"tensors: {change.__name__}", seed, message, wants, model.name)
        if roll < 0.62:
            return self._changed(dice, seed, model)
        if roll < 0.66:
            message = self._in_order(dice, model)
            return _payload("in order", seed, message, "ok", _endpoint(message, model))
        if roll < 0.90 or not self._aside:
            return wire_case(dice, model, dice.choice(WIRE), seed)
        if roll < 0.93:
            return wire_case(dice, dice.choice(self._aside), dice.choice(RUDE), seed)
        return self._set_aside(dice, seed)

    def _in_order(self, dice: random.Random, model: Model) -> Message:
        if self._tabular and dice.random() < 0.3:
            return seeds.scoring(dice, dice.choice(self._tabular), alone=self._alone)
        request = seeds.infer(dice, model)
        target = f"/v2/models/{quote(model.name)}/versions/1/infer" if dice.random() < 0.2 else ""
        return request.message(target=target)

    def _changed(self, dice: random.Random, seed: str, model: Model) -> Case:
        if dice.random() < 0.15:
            names = [one.name for one in self._models]
            message = seeds.asking(dice, names)
        else:
            message = self._in_order(dice, model)
        change = dice.choice(byte_mutations.MUTATIONS)
        message, wants = change(dice, message)
        return _payload(f"any: {change.__name__.replace('_', ' ')}", seed, message, wants, _endpoint(message, model))

    def _set_aside(self, dice: random.Random, seed: str) -> Case:
        model = dice.choice(self._aside)
        make = seeds.explanation if dice.random() < 0.1 else dice.choice((seeds.generation, _format))
        message = make(dice, model)
        wants: Wants = "any"
        if dice.random() < 0.6:
            message, wants = dice.choice(byte_mutations.MUTATIONS)(dice, message)
        return _payload("formats, streams, explanations", seed, message, wants, model.name)


def _format(dice: random.Random, model: Model) -> Message:
    return seeds.other_formats(dice, model, alone=False)


def _endpoint(message: Message, model: Model) -> str:
    """Return the endpoint that a request is for, as far as its target tells."""
    names = re.findall(r"[a-z]+", message.target)
    return next((name for name in NAMES if name in names), model.name)


def _payload(kind: str, seed: str, message: Message, wants: Wants, endpoint: str) -> Case:
    # what could be read in two ways stays on a connection of its own
    return Case(
        kind=kind,
        seed=seed,
        steps=of_bytes(message.wire()),
        wants=wants,
        endpoint=endpoint,
        head_only=message.method == "HEAD",
        stays=message.method == "POST" or (message.method == "GET" and not message.body),
    )
