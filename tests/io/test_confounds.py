"""Strategies on tables made by hand and on real fMRIPrep tables."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lbpneuro.errors import InputError
from lbpneuro.io.confounds import read_confounds
from lbpneuro.kernels.quality import fd_jenkinson
from tests.oracles.functional import MOTION, confounds_table

N_TIME = 40


@pytest.fixture
def write(tmp_path, rng):
    """Return a function that writes a table, changed by ``change``, with or without a sidecar."""

    def written(change=lambda table: table, metadata=None) -> Path:
        path = tmp_path / "sub-01_task-rest_desc-confounds_timeseries.tsv"
        change(confounds_table(rng, n_time=N_TIME, n_unsteady=2)).to_csv(path, sep="\t", index=False, na_rep="n/a")
        if metadata is not None:
            path.with_suffix(".json").write_text(json.dumps(metadata))
        return path

    return written


@pytest.mark.parametrize(
    ("strategy", "count"), [("24p", 24), ("36p", 36), ("acompcor24", 34), ("acompcor6", 11), ("scrubbing", 32)]
)
def test_strategies(write, strategy, count):
    found = read_confounds(write(), strategy=strategy, n_time=N_TIME)
    assert found.regressors.shape == (N_TIME, count)
    assert len(set(found.names)) == count
    assert np.isfinite(found.regressors).all()
    assert ("global_signal" in found.names) == (strategy == "36p")
    assert sum("comp_cor" in name for name in found.names) == {"acompcor24": 10, "acompcor6": 5}.get(strategy, 0)


def test_first_row_and_displacement(write):
    path = write()
    table = pd.read_csv(path, sep="\t", na_values=["n/a"])
    assert np.isnan(table.trans_x_derivative1[0])
    found = read_confounds(path, strategy="24p", n_time=N_TIME)
    column = found.names.index("trans_x_derivative1")
    assert found.regressors[0, column] == found.regressors[1, column] == table.trans_x_derivative1[1]
    np.testing.assert_allclose(found.fd_jenkinson, table.rmsd)
    np.testing.assert_allclose(found.fd_power, table.framewise_displacement)
    assert np.isnan(found.fd_jenkinson[0])
    assert found.steady.tolist() == [False, False, *[True] * (N_TIME - 2)]


def test_what_the_table_lacks_is_computed(write):
    derived = [f"{base}{form}" for base in MOTION for form in ("_derivative1", "_power2", "_derivative1_power2")]
    full = read_confounds(write(), strategy="24p", n_time=N_TIME)
    table = pd.read_csv(full.path, sep="\t", na_values=["n/a"])
    path = write(lambda _: table.drop(columns=[*derived, "rmsd", "framewise_displacement"]))
    bare = read_confounds(path, strategy="24p", n_time=N_TIME)
    assert bare.names == full.names
    np.testing.assert_allclose(bare.regressors, full.regressors, atol=1e-12)
    np.testing.assert_allclose(bare.fd_jenkinson, full.fd_jenkinson, rtol=1e-6)
    np.testing.assert_allclose(bare.fd_power, full.fd_power, rtol=1e-6)


def old_names(table):
    """Before fMRIPrep 21 all components were called a_comp_cor, here six of CSF and then six of WM."""
    names = [f"{prefix}_comp_cor_{index:02d}" for prefix in "cw" for index in range(6)]
    return table.rename(columns={name: f"a_comp_cor_{index:02d}" for index, name in enumerate(names)})


def test_components_without_a_mask(write):
    with pytest.raises(InputError, match=r"component of the WM mask; found a_comp_cor_00.* no JSON sidecar"):
        read_confounds(write(old_names), strategy="acompcor24", n_time=N_TIME)


def test_components_are_told_apart_by_the_sidecar(write):
    metadata = {f"a_comp_cor_{i:02d}": {"Mask": "CSF" if i < 6 else "WM", "Retained": True} for i in range(12)}
    found = read_confounds(write(old_names, metadata), strategy="acompcor24", n_time=N_TIME)
    assert found.names[24:] == tuple(f"a_comp_cor_{i:02d}" for i in (6, 7, 8, 9, 10, 0, 1, 2, 3, 4))


def test_components_are_taken_by_number_not_by_spelling(write):
    """The strongest of a tissue may be number 98, and number 100 follows 99."""
    names = {
        f"{prefix}_comp_cor_{i:02d}": f"a_comp_cor_{96 + 6 * (prefix == 'c') + i:02d}"
        for prefix in "wc"
        for i in range(6)
    }
    metadata = {f"a_comp_cor_{i}": {"Mask": "WM" if i < 102 else "CSF"} for i in range(96, 108)}
    found = read_confounds(
        write(lambda table: table.rename(columns=names), metadata), strategy="acompcor24", n_time=N_TIME
    )
    assert found.names[24:29] == tuple(f"a_comp_cor_{i}" for i in (96, 97, 98, 99, 100))


@pytest.mark.parametrize("n_time", [N_TIME + 1, N_TIME - 1])
def test_rows_are_not_those_of_the_volumes(write, n_time):
    with pytest.raises(
        InputError, match=rf"timeseries.tsv: expected {n_time} rows, one per volume of the run, found 40"
    ):
        read_confounds(write(), strategy="24p", n_time=n_time)


def test_missing_column(write):
    path = write(lambda table: table.drop(columns=["trans_y"]))
    with pytest.raises(
        InputError, match=r"timeseries.tsv: the column trans_y is missing; found trans_x, .* and \d+ more"
    ):
        read_confounds(path, strategy="24p", n_time=N_TIME)
    path = write(lambda table: table.drop(columns=["csf"]))
    with pytest.raises(InputError, match="the column csf is missing"):
        read_confounds(path, strategy="36p", n_time=N_TIME)


def test_empty_values_beyond_the_first_row(write):
    def gap(table):
        table.loc[7, "rot_z"] = np.nan
        return table

    with pytest.raises(InputError, match=r"line 9: the column rot_z has no value \(n/a\); 1 of 40 rows"):
        read_confounds(write(gap), strategy="24p", n_time=N_TIME)


def test_words_in_a_column(write):
    with pytest.raises(InputError, match="the column trans_z must hold numbers"):
        read_confounds(write(lambda table: table.assign(trans_z="none")), strategy="24p", n_time=N_TIME)


def test_unknown_strategy(write):
    with pytest.raises(
        InputError,
        match=r"`functional.confounds` must be one of '24p', '36p', 'acompcor24', 'acompcor6', 'scrubbing'; got '12p'",
    ):
        read_confounds(write(), strategy="12p", n_time=N_TIME)


MYCONNECTOME = "myconnectome_sub-01_ses-002_task-rest_run-001_desc-confounds_timeseries.tsv"
REAL = [
    ("test-v21_desc-confounds_timeseries.tsv", "acompcor24", 24 + 4 + 3),
    ("test-v21_desc-confounds_timeseries.tsv", "36p", 36),
    ("test_desc-confounds_regressors.tsv", "acompcor24", 34),
    ("test_desc-confounds_regressors.tsv", "36p", 36),
    ("no_nonsteady_desc-confounds_regressors.tsv", "24p", 24),
    (MYCONNECTOME, "24p", 24),
]


@pytest.mark.parametrize(("name", "strategy", "count"), REAL)
def test_real_tables(real_data, name, strategy, count):
    path = real_data("fmriprep_confounds") / name
    n_time = len(path.read_text().splitlines()) - 1
    found = read_confounds(path, strategy=strategy, n_time=n_time)
    assert found.regressors.shape == (n_time, count)
    assert np.isfinite(found.regressors).all()
    assert np.isfinite(found.fd_jenkinson[1:]).all()
    assert (~found.steady).sum() == {"test-v21": 3, "test": 1}.get(name.split("_desc")[0], 0)


def test_real_displacement_agrees_with_the_six_parameters(real_data):
    """fMRIPrep's rmsd is about the centre of the image, ours about the origin: the same to a few percent."""
    path = real_data("fmriprep_confounds") / "test-v21_desc-confounds_timeseries.tsv"
    found = read_confounds(path, strategy="24p", n_time=len(path.read_text().splitlines()) - 1)
    computed = fd_jenkinson(pd.read_csv(path, sep="\t")[list(MOTION)])
    assert np.corrcoef(found.fd_jenkinson[1:], computed[1:])[0, 1] > 0.9


def test_real_table_without_what_the_strategy_needs(real_data):
    path = real_data("fmriprep_confounds") / MYCONNECTOME
    with pytest.raises(InputError, match="the column csf is missing"):
        read_confounds(path, strategy="36p", n_time=len(path.read_text().splitlines()) - 1)
