"""What tests of the server start from."""

from typing import Any

import pytest

from tests.world import World


@pytest.fixture
def world(app: Any) -> World:
    """A small organisation on either database."""
    return World(app)
