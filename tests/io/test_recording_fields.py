"""What the absence of each field costs, found out by taking it away: the table in the docs says nothing else."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pandas as pd
import pytest

from lbpneuro.io.config import read_config, resolve
from lbpneuro.io.files import read_tsv
from lbpneuro.io.recording_fields import RECORDING_FIELDS, Cost
from lbpneuro.steps import meps, plasticity, tms
from tests.oracles.neurophysiology import write_emg_run

STEPS = {"motormap": tms, "plasticity": plasticity}
PRIMARY = {"motormap": "overlap_min", "plasticity": "hp_index"}
SITES = tuple((-20.0 - 10 * column, 10.0 * row) for column in range(4) for row in range(4))
BLOCKS = ("pre", "between", "post00", "post10", "post20")
SIZES = {"pre": 1000.0, "between": 1400.0, "post00": 800.0, "post10": 700.0, "post20": 750.0}


def hill(muscle, site, _):
    x, y = SITES[site]
    centre = -30 if muscle == "longissimus" else -40
    return 30 + 800 * np.exp(-((x - centre) ** 2 + (y - 15) ** 2) / 200)


def complete(root):
    """Recordings of both tasks with everything said, and what follows them: the files by task."""
    said = {"EMGReference": "bipolar", "EMGPlacementScheme": "Other"}
    files = {
        "motormap": write_emg_run(root, sites=SITES, trials=3, amplitude=hill, metadata=said),
        "plasticity": write_emg_run(
            root,
            task="plasticity",
            muscles=("FDI",),
            blocks=BLOCKS,
            trials=8,
            amplitude=lambda _, __, block: SIZES[block],
            metadata={**said, "BoutPolarity": [1, 1]},
        ),
    }
    for task, paths in files.items():
        markers = paths[-1]
        table = pd.read_csv(markers, sep="\t", dtype=str)
        named = table.rename(columns={axis: f"position_{axis}" for axis in "xyz"})
        coil = {"normal": (0.6, 0.0, -0.8), "direction": (0.8, 0.0, 0.6)}
        axes = {
            f"position_{name}_{axis}": part for name, of in coil.items() for axis, part in zip("xyz", of, strict=True)
        }
        named.assign(**axes).to_csv(markers, sep="\t", index=False)
        frame = markers.with_name(markers.name.replace("_markers.tsv", "_coordsystem.json"))
        frame.write_text(json.dumps({**json.loads(frame.read_text()), "NIBSCoordinateSystem": "Other"}))
        stimuli = markers.with_name(markers.name.replace("_markers", "_nibs"))
        stimuli.write_text("nibs_event_id\tnibs_type\tstimulus_intensity\nsingle\tTMS\t60\n")
        events = next(path for path in paths if path.name.endswith("_events.tsv"))
        table = pd.read_csv(events, sep="\t", dtype=str).assign(nibs_event_id="single", hemisphere="L")
        table.to_csv(events, sep="\t", index=False)
        files[task] = [*paths, stimuli]
    return files


def settings(folder):
    """The settings of a study in ``folder``, which must be told where the output goes."""
    path = folder / "config.json"
    dataset = {"bids_dir": str(folder / "raw"), "out_dir": str(folder / "out"), "work_dir": str(folder / "work")}
    own = {"dataset": dataset, "tms": {"contraction": "rest", "bootstrap": 100}}
    path.write_text(json.dumps(resolve(read_config(None, own))))
    return path


def measure(files, task, folder):
    """The trial table of a recording, and its sidecar beside it."""
    table = folder / "out" / "emg" / f"sub-01_task-{task}_desc-trials_meps.tsv"
    arguments = [
        "--in",
        *map(str, files),
        "--out",
        str(table),
        "--config",
        str(settings(folder)),
        "--participant",
        "sub-01",
    ]
    assert meps.main(arguments) == 0
    return table


def rows_of(table, task, folder):
    """The value of the primary marker, and every reason that the family has."""
    path = folder / "out" / f"{task}_markers.tsv"
    arguments = ["--in", str(table), "--out", str(path), "--config", str(settings(folder)), "--participant", "sub-01"]
    assert STEPS[task].main(arguments) == 0
    rows = read_tsv(path)
    values = rows.loc[rows["marker"] == PRIMARY[task], "value"].to_numpy(dtype=float)
    reasons = {reason for text in rows["reason"].dropna() for reason in text.split(";")}
    return values, reasons


@pytest.fixture(scope="module")
def baseline(tmp_path_factory):
    """The complete study: files, trial tables, and results by task."""
    root = tmp_path_factory.mktemp("complete")
    files = complete(root / "raw")
    tables = {task: measure(files[task], task, root) for task in files}
    results = {task: rows_of(tables[task], task, root) for task in files}
    assert all(np.isfinite(values).all() for values, _ in results.values())
    return root, files, tables, results


# ------------------------------------------------------------------------------------------------- taking things away


def without_key(path, name):
    content = json.loads(path.read_text())
    del content[name]
    path.write_text(json.dumps(content))


def without_columns(path, names):
    table = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False)
    table.drop(columns=names).to_csv(path, sep="\t", index=False)


SUFFIXES = {"*_events.tsv": "events", "*_channels.tsv": "channels", "*_markers.tsv": "markers"}


def take_away(field, files):
    """Remove a field from copies of the files of a run; return what the step is still given."""
    by_kind = {path.name.rsplit("_", 1)[1].split(".")[0]: path for path in files}
    if field.name == "the file":
        kind = SUFFIXES.get(field.file, "nibs")
        if kind == "nibs":
            without_columns(by_kind["events"], ["nibs_event_id"])
        return [path for path in files if path != by_kind[kind]]
    if field.file.startswith("*_emg"):
        without_key(by_kind["emg"].with_suffix(".json"), field.name)
    elif field.file.startswith("*_coordsystem"):
        frame = by_kind["markers"].with_name(by_kind["markers"].name.replace("_markers.tsv", "_coordsystem.json"))
        without_key(frame, field.name)
    else:
        without_columns(by_kind[SUFFIXES[field.file]], field.name.split(", "))
    return files


def given_tables(field):
    return field.file.startswith("*_meps")


def reduced(field, baseline, folder):
    """The result of the field's task without the field."""
    root, files, tables, _ = baseline
    if given_tables(field):
        table = folder / tables[field.task].name
        lab = {"p2p_uv": "p2p_uV", "site_id": "site_id", "x_mm": "x_mm", "y_mm": "y_mm", "block": "block"}
        content = pd.read_csv(tables[field.task], sep="\t").rename(columns=lab)
        content.drop(columns=field.name.split(", ") if field.file.endswith(".tsv") else []).to_csv(
            table, sep="\t", index=False, na_rep="n/a"
        )
        sidecar = json.loads(tables[field.task].with_suffix(".json").read_text())
        if field.file.endswith(".json"):
            del sidecar[field.name]
        table.with_suffix(".json").write_text(json.dumps(sidecar))
    else:
        shutil.copytree(root / "raw", folder / "raw")
        copies = [folder / "raw" / path.relative_to(root / "raw") for path in files[field.task]]
        table = measure(take_away(field, copies), field.task, folder)
    return rows_of(table, field.task, folder)


@pytest.mark.parametrize("field", RECORDING_FIELDS, ids=lambda field: f"{field.file}-{field.name}-{field.task}")
def test_what_the_absence_of_a_field_costs(field, baseline, tmp_path):
    complete_values, complete_reasons = baseline[3][field.task]
    values, reasons = reduced(field, baseline, tmp_path)
    new = reasons - complete_reasons
    if field.cost is Cost.ALL:
        assert np.isnan(values).all()
        assert reasons == {str(field.reason)}
    elif field.cost is Cost.SOME:
        assert str(field.reason) in new
    else:
        assert field.reason is None
        assert new == set()
        tolerance = 0.02 if field.name == "PowerLineFrequency" else 1e-9
        np.testing.assert_allclose(values, complete_values, rtol=tolerance, atol=tolerance)


def test_every_field_stands_once():
    assert len({(field.file, field.name) for field in RECORDING_FIELDS}) == len(RECORDING_FIELDS)
    assert all((field.reason is None) is (field.cost in (Cost.SILENT, Cost.NOTHING)) for field in RECORDING_FIELDS)
