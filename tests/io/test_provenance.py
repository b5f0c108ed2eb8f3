"""Where results came from, told in the same bytes on every machine."""

from __future__ import annotations

import json
import platform
from pathlib import Path

import lbpneuro
from lbpneuro.io.files import write_json
from lbpneuro.io.provenance import portable_settings, recorded_inputs, study_provenance
from tests.workflow.study import settings, tree

UNITS = ({"folder": "sub-01"}, {"folder": "sub-02/ses-a"})
MAP = "bids:fmriprep:sub-01/anat/sub-01_label-GM_probseg.nii.gz"
BOLD = "bids:raw:sub-01/func/sub-01_task-rest_bold.nii.gz"


def analysed(folder: Path) -> dict:
    tree(folder / "raw", ["sub-01/anat/sub-01_T1w.nii.gz"])
    config = settings(folder, derivatives={"fmriprep": str(folder / "fmriprep")})
    out = Path(config["dataset"]["out_dir"])
    write_json(out / "sub-01" / "func" / "sub-01_desc-functional_markers.json", {"Sources": {MAP: "crc32:1 length:2"}})
    write_json(out / "sub-01" / "anat" / "sub-01_task-rest_desc-embedded_func.json", {"Sources": [BOLD, MAP]})
    write_json(out / "sub-01" / "anat" / "sub-01_desc-structural_markers.json", {"Description": "nothing read"})
    return config


def test_every_input_has_its_checksum_and_its_place_in_the_order(tmp_path: Path) -> None:
    config = analysed(tmp_path)
    folders = [Path(config["dataset"]["out_dir"]) / unit["folder"] for unit in UNITS]
    inputs = recorded_inputs(folders)
    assert inputs == {MAP: "crc32:1 length:2", BOLD: "n/a"}
    assert list(inputs) == sorted(inputs)
    assert recorded_inputs(reversed(folders)) == inputs


def test_versions_and_settings_are_told(tmp_path: Path) -> None:
    told = study_provenance(analysed(tmp_path), UNITS)
    assert told["Version"] == told["SoftwareVersions"]["lbpneuro"] == lbpneuro.__version__
    assert told["SoftwareVersions"]["python"] == platform.python_version()
    assert {"numpy", "scipy", "nibabel", "snakemake"} <= set(told["SoftwareVersions"])
    assert told["Settings"]["functional"]["rois"].startswith("sha256:")


def test_the_same_study_elsewhere_has_the_same_provenance(tmp_path: Path) -> None:
    here, there = (analysed(tmp_path / name) for name in ("here", "there"))
    assert here != there
    texts = [json.dumps(study_provenance(config, UNITS)) for config in (here, there)]
    assert texts[0] == texts[1]
    assert str(tmp_path) not in texts[0]


def test_the_digest_follows_what_bears_on_results_and_nothing_else(tmp_path: Path) -> None:
    config = analysed(tmp_path)
    digest = study_provenance(config, UNITS)["SettingsHash"]
    same = {**config, "run": {**config["run"], "finished_only": True}}
    assert study_provenance(same, UNITS)["SettingsHash"] == digest
    other = {**config, "tms": {**config["tms"], "tau": 0.5}}
    assert study_provenance(other, UNITS)["SettingsHash"] != digest
    assert portable_settings(config)["dataset"].keys() == {"participants", "sessions", "task", "space", "filters"}
