"""The simulated person of tests/oracles/person.py, once per session."""

from __future__ import annotations

import pytest

from tests.oracles import person


@pytest.fixture(scope="session")
def someone():
    return person.person()


@pytest.fixture(scope="session")
def bold(someone):
    return person.bold_series(someone)
