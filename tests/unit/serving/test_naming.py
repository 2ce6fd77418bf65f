from __future__ import annotations

import pytest

from interlock.core.refs import check_name
from interlock.serving.naming import endpoint_name


@pytest.mark.parametrize(
    ("model", "endpoint"),
    [
        ("team/delay", "team/delay"),
        ("Flight delay: größe", "Flight-delay-gr-e"),
        ("a..b//c", "a-b-c"),
        ("%%%", "model"),
        ("x" * 500, "x" * 250),
    ],
)
def test_a_model_of_any_name_is_served_under_one_an_endpoint_can_have(model: str, endpoint: str) -> None:
    assert check_name(endpoint_name(model), of="endpoint") == endpoint
