"""Positions of Brainsight, Localite and plain tables: the same places out of each, in mm, right and front."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from lbpneuro.errors import InputError, UnitError
from lbpneuro.io.vendor_positions import AXES, assign, read_positions
from tests.oracles import vendor

PLACES = [(-40.0, 12.0, 63.0), (-35.5, 20.0, 66.0), (-28.0, -4.0, 70.0)]


def places_of(positions):
    return positions.table[list(AXES)].to_numpy()


@pytest.mark.parametrize("system", ["NIfTI:Aligned", "NIfTI:Scanner", "Brainsight", "World"])
def test_samples_of_brainsight(tmp_path, system):
    positions = read_positions(vendor.write_brainsight(tmp_path, PLACES, system=system))
    np.testing.assert_allclose(places_of(positions), PLACES)
    assert positions.table["site_id"].tolist() == ["Sample 1", "Sample 2", "Sample 3"]
    assert positions.per_pulse
    assert system in positions.description


def test_targets_where_there_is_no_sample(tmp_path):
    positions = read_positions(vendor.write_brainsight(tmp_path, PLACES, samples=False))
    assert positions.table["site_id"].tolist() == ["Grid 1", "Grid 2", "Grid 3"]
    assert not positions.per_pulse


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("NIfTI:Aligned", "Talairach", "the coordinate system 'Talairach' is not known"),
        ("# Units: millimetres", "# Units: inches", "the units are 'inches"),
        ("-40.0000", "left", "column Loc. X: expected a number"),
    ],
)
def test_exports_of_brainsight_that_cannot_be_used(tmp_path, old, new, message):
    path = vendor.write_brainsight(tmp_path, PLACES)
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(InputError, match=message):
        read_positions(path)


def test_empty_export_of_brainsight(tmp_path):
    with pytest.raises(InputError, match="no sample and no target"):
        read_positions(vendor.write_brainsight(tmp_path, []))


@pytest.mark.parametrize("space", ["RAS", "LPS"])
@pytest.mark.parametrize("kind", ["TriggerMarker", "InstrumentMarker"])
def test_markers_of_localite(tmp_path, space, kind):
    positions = read_positions(vendor.write_localite(tmp_path, PLACES, space=space, kind=kind))
    np.testing.assert_allclose(places_of(positions), PLACES)
    assert positions.per_pulse is (kind == "TriggerMarker")
    if positions.per_pulse:
        assert positions.table["intensity_mso"].tolist() == [61, 61, 61]
    else:
        assert positions.table["site_id"].tolist() == ["site 1", "site 2", "site 3"]


@pytest.mark.parametrize(
    ("write", "normal"),
    [
        (lambda folder: vendor.write_brainsight(folder, PLACES, system="NIfTI:Aligned"), 2),
        (lambda folder: vendor.write_brainsight(folder, PLACES, system="Brainsight"), 2),
        (lambda folder: vendor.write_localite(folder, PLACES, space="RAS"), 0),
        (lambda folder: vendor.write_localite(folder, PLACES, space="LPS"), 0),
    ],
)
def test_axes_of_the_coil(tmp_path, write, normal):
    """The normal is the third axis of Brainsight and the first of Localite; the second is along the handle."""
    table = read_positions(write(tmp_path)).table
    for name, column in (("normal", normal), ("direction", 1)):
        found = table[[f"position_{name}_{axis}" for axis in "xyz"]].to_numpy()
        np.testing.assert_allclose(found, np.tile(vendor.ROTATION[:, column], (len(PLACES), 1)))


def test_pulses_with_the_coil_out_of_sight(tmp_path):
    """They keep their turn in the order of the pulses, without a place."""
    positions = read_positions(vendor.write_localite(tmp_path, PLACES, lost=1))
    assert len(positions.table) == 4
    assert positions.table[list(AXES)].isna().all(axis=1).tolist() == [True, False, False, False]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('coordinateSpace="RAS"', "", "coordinateSpace is absent; expected RAS or LPS"),
        ("data13", "data99", "a marker has no Matrix4D with data00"),
        ("</TriggerMarkerList>", "", "this XML file cannot be read"),
        ("TriggerMarker", "Other", "holds no TriggerMarker"),
    ],
)
def test_markers_of_localite_that_cannot_be_used(tmp_path, old, new, message):
    path = vendor.write_localite(tmp_path, PLACES)
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(InputError, match=message):
        read_positions(path)


def test_plain_table(tmp_path):
    path = tmp_path / "grid.csv"
    path.write_text("Site,x,y\na,-4,1\nb,-3,1\n")
    positions = read_positions(path, unit="cm", frame="cap 2")
    assert positions.table.to_dict("list") == {"site_id": ["a", "b"], "position_x": [-40, -30], "position_y": [10, 10]}
    assert positions.description == "cap 2"
    with pytest.raises(UnitError, match="have no unit"):
        read_positions(path)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("grid.csv", "x,y\n1,2\n", "column site_id is absent"),
        ("grid.csv", "site,x_mm\na,2\n", "no y_mm"),
        ("grid.txt", "something\n", "no export of Brainsight or Localite"),
        ("absent.csv", None, "no such file of positions"),
    ],
)
def test_tables_that_cannot_be_used(tmp_path, name, text, message):
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=message):
        read_positions(tmp_path / name)


def test_pulses_get_their_positions(tmp_path):
    samples = read_positions(vendor.write_brainsight(tmp_path, PLACES))
    assert assign(pd.DataFrame({"onset": [1, 2, 3]}), samples)["nibs_position_id"].tolist() == [
        "Sample 1",
        "Sample 2",
        "Sample 3",
    ]
    with pytest.raises(InputError, match="3 positions for 2 pulses"):
        assign(pd.DataFrame({"onset": [1, 2]}), samples)
    targets = read_positions(vendor.write_brainsight(tmp_path, PLACES, samples=False))
    with pytest.raises(InputError, match="do not say which belongs to which"):
        assign(pd.DataFrame({"onset": [1, 2, 3]}), targets)
    named = assign(pd.DataFrame({"onset": [1, 2], "site_id": ["Grid 3", "Grid 1"]}), targets)
    assert named["nibs_position_id"].tolist() == ["Grid 3", "Grid 1"]
    with pytest.raises(InputError, match="name the site Grid 9"):
        assign(pd.DataFrame({"onset": [1], "site_id": ["Grid 9"]}), targets)


def test_stimulator_output_that_the_navigation_logged(tmp_path):
    logged = read_positions(vendor.write_localite(tmp_path, PLACES))
    assert assign(pd.DataFrame({"onset": [1, 2, 3]}), logged)["intensity_mso"].tolist() == [61, 61, 61]
    stated = assign(pd.DataFrame({"onset": [1, 2, 3], "intensity_mso": [70, 70, 70]}), logged)
    assert stated["intensity_mso"].tolist() == [70, 70, 70]
