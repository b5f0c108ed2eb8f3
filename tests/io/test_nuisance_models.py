"""Which models a run gets, what they share, and which volumes they keep."""

from __future__ import annotations

import numpy as np
import pytest

from lbpneuro.errors import InputError
from lbpneuro.io.confounds import find_strategy, select_confounds
from lbpneuro.io.nuisance_models import nuisance_models, volumes_to_keep
from lbpneuro.markers.bold import WIDE
from tests.oracles.functional import SETTINGS, confounds_table

T_R = 2.0


def both(strategy: str) -> dict[str, str]:
    return {"cortical": strategy, "brainstem": strategy}


@pytest.fixture
def made(rng, tmp_path):
    """Return a function from settings to the models of one run."""
    table = confounds_table(rng, n_time=260)
    confounds = select_confounds(table, tmp_path / "confounds.tsv", strategy=find_strategy("24p"))

    def models(*, extra=None, **settings):
        return nuisance_models(table, confounds, t_r=T_R, settings={**SETTINGS, **settings}, extra=extra)

    return models


def test_equal_strategies_share_one_basis(made):
    settings = {
        "confounds": {"cortical": "36p", "brainstem": "24p"},
        "confounds_alternative": {"cortical": "24p", "brainstem": "36p"},
    }
    found = made(**settings)
    assert found.models["cortical"].basis is found.models["brainstem_alternative"].basis
    assert found.models["brainstem"].basis is found.models["cortical_alternative"].basis
    assert found.models["cortical"].basis.shape[1] == found.models["brainstem"].basis.shape[1] - 12
    wide = found.models[WIDE]
    assert wide.strategy == "36p"
    # 520 s, 0.008 to 0.25 Hz: more than a hundred dimensions above the pass band
    assert wide.basis.shape[1] > found.models["cortical"].basis.shape[1] + 100


def test_further_regressors_are_those_of_the_brainstem_only(made, rng):
    extra = {"aqueduct": rng.standard_normal(260), "pulse": rng.standard_normal((260, 4))}
    found, plain = made(extra=extra), made()
    size = {name: model.basis.shape[1] for name, model in plain.models.items()}
    for name, model in found.models.items():
        assert model.basis.shape[1] == size[name] - 5 * name.startswith("brainstem")
    basis = found.models["brainstem"].basis
    np.testing.assert_allclose(basis.T @ extra["pulse"][found.keep], 0, atol=1e-9)
    assert found.regressors["brainstem"][-2:] == ("aqueduct", "pulse")
    assert "pulse" not in found.regressors["cortical"]


def test_the_fallback_is_taken_model_by_model(made):
    """62 dimensions in the band are left of 18 more by 36p than asked for, and not of 24p."""
    settings = {"confounds": {"cortical": "36p", "brainstem": "24p"}, "confounds_fallback": "acompcor6"}
    least = made(**settings).models["cortical"].basis.shape[1] + 1
    found = made(**settings, dof_min=least)
    assert [(m.strategy, m.reduced) for m in (found.models["cortical"], found.models["brainstem"])] == [
        ("acompcor6", True),
        ("24p", False),
    ]
    assert found.models[WIDE].strategy == "acompcor6"


def test_all_models_keep_the_volumes_of_the_strictest(rng, tmp_path):
    table = confounds_table(rng, n_time=260)
    dvars = np.ones(260)
    dvars[[0, 50, 60]] = np.nan, 1.55, 1.3
    table["std_dvars"] = dvars
    confounds = select_confounds(table, tmp_path / "c.tsv", strategy=find_strategy("24p"))

    def dropped(**settings):
        return np.flatnonzero(~volumes_to_keep(confounds, {**SETTINGS, "fd_spike_mm": 9, **settings})).tolist()

    assert dropped() == []
    assert dropped(confounds=both("scrubbing")) == dropped(confounds_alternative=both("scrubbing")) == [50]
    assert dropped(std_dvars_max=1.2) == [50, 60]
    assert dropped(std_dvars_max=1.2, segment_min_volumes=10) == list(range(50, 61))


def test_dvars_must_be_known_to_censor_by_it(made):
    with pytest.raises(InputError, match=r"confounds.tsv: the column std_dvars is missing"):
        made(std_dvars_max=1.5)


def test_names_and_patterns_of_the_users_own_strategy(rng, tmp_path):
    table, path = confounds_table(rng, n_time=50), tmp_path / "c.tsv"
    own = {"mine": ["csf", "c_comp_cor_0[0-2]", "csf*_power2"]}
    found = select_confounds(table, path, strategy=find_strategy("mine", own))
    expected = ("csf", "c_comp_cor_00", "c_comp_cor_01", "c_comp_cor_02", "csf_power2", "csf_derivative1_power2")
    assert found.names == expected
    assert np.isfinite(found.regressors).all()
    with pytest.raises(InputError, match=r"c.tsv: no column matches 'tcompcor\*' of functional.confounds_custom"):
        select_confounds(table, path, strategy=find_strategy("mine", {"mine": ["tcompcor*"]}))
    with pytest.raises(InputError, match=r"`functional.confounds` must be one of"):
        find_strategy("12p")
