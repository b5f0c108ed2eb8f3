"""Censored values: what an empty value says of its bounds."""

from __future__ import annotations

import math

import pytest

from lbpneuro.errors import Reason, Status
from lbpneuro.markers.descriptor import Estimate


def test_a_value_beyond_a_limit_is_empty_and_keeps_its_bound() -> None:
    above = Estimate.censored(low=600.0, n=3, flags=[Reason.FEW_TRIALS])
    assert math.isnan(above.value)
    assert (above.ci_low, above.ci_high, above.n, above.status) == (600, math.inf, 3, Status.FAIL)
    assert above.reasons == (Reason.CENSORED_AT_LIMIT, Reason.FEW_TRIALS)
    assert Estimate.censored(high=0.1).ci_low == -math.inf


@pytest.mark.parametrize("bounds", [{}, {"low": 3.0, "high": 2.0}, {"low": math.nan}])
def test_bounds_that_say_nothing_are_refused(bounds: dict) -> None:
    with pytest.raises(ValueError, match="finite bound"):
        Estimate.censored(**bounds)
