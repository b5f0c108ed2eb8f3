"""Twenty real [11C]PBR28 scans of ten people with arterial blood: reading of curves, volumes, test-retest."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from lbpneuro.io.config import read_config
from lbpneuro.io.files import write_json, write_tsv
from lbpneuro.io.pet import Individual, find_scan
from lbpneuro.io.pet_scan import Scan, assemble
from lbpneuro.io.regions import read_regions
from lbpneuro.io.resources import workflow_folder
from lbpneuro.kernels.reliability import absolute_difference, intraclass_correlation, within_person_cv
from lbpneuro.markers import pet
from lbpneuro.markers.pet import Affinity

pytestmark = pytest.mark.real

THALAMUS = ("thalamus", "n/a")
COLUMNS = {"thalamus": ["THA"], "striatum": ["STR"], "whole_brain": ["WB"], "cerebellum": ["CBL"], "s1": ["FC"]}
"""Frontal cortex stands in for S1, to have a second region."""
NCI = 0.037
METADATA = {
    "TracerName": "PBR28",
    "TracerRadionuclide": "C11",
    "Units": "kBq/mL",
    "ImageDecayCorrected": True,
    "ImageDecayCorrectionTime": 0,
}


@pytest.fixture(scope="module")
def scans(real_data: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Scan]:
    """The scans by name (person_number), written as PETPrep and bloodstream would and read again."""
    folder = real_data("pbr28_tspo")
    tacs = pd.read_csv(folder / "pbr28_tacdata.csv")
    blood = pd.read_csv(folder / "pbr28_blooddata.csv")
    out = tmp_path_factory.mktemp("pbr28")
    found = {}
    settings = {**read_config()["pet"], "curve_columns": COLUMNS}
    regions = read_regions(workflow_folder() / "config" / "rois.tsv")
    for name, table in tacs.groupby("PET", sort=False):
        person, _, number = str(name).partition("_")
        files = written(out, person, number=number, table=table, blood=blood[blood["PET"] == name])
        scan = find_scan(files, bids_dir=out, settings=settings)
        who = Individual(mass_g=float("nan"), affinity=Affinity.HIGH, ligand=None)
        found[str(name)] = assemble(scan, who, regions=regions, settings=settings, align=lambda *a, **k: None)
    return found


def written(out: Path, person: str, *, number: str, table: pd.DataFrame, blood: pd.DataFrame) -> list[Path]:
    base = out / f"sub-{person}" / f"ses-{number}" / "pet" / f"sub-{person}_ses-{number}"
    curves = table[["FC", "TC", "STR", "THA", "WB", "CBL"]] * NCI
    curves.insert(0, "frame_start", table["StartTime"])
    curves.insert(1, "frame_end", table["StartTime"] + table["Duration"])
    paths = [Path(f"{base}_pvc-nopvc_desc-mc_tacs.tsv"), Path(f"{base}_inputfunction.tsv")]
    write_tsv(paths[0], curves)
    write_json(paths[0].with_suffix(".json"), METADATA)
    sampled = {"time": blood["Time"], "AIF": blood["Cpl_metabcorr"], "whole_blood_radioactivity": blood["Cbl_dispcorr"]}
    write_tsv(paths[1], pd.DataFrame(sampled))
    unit = {"Units": "nCi/mL"}
    write_json(paths[1].with_suffix(".json"), {"AIF": unit, "whole_blood_radioactivity": unit})
    return paths


def repeated(scans: dict[str, Scan], measure: Callable[[pet.Pet], float]) -> np.ndarray:
    """A value of every scan (10 people, 2 scans)."""
    people = list(dict.fromkeys(name.partition("_")[0] for name in scans))
    return np.array([[measure(scans[f"{person}_{number}"].data) for number in (1, 2)] for person in people])


def test_every_scan_is_read(scans: dict[str, Scan]) -> None:
    assert len(scans) == 20
    for scan in scans.values():
        assert scan.data.plasma is not None
        assert scan.data.covered > 0.99
        assert len(scan.data.start_s) == 37  # without the row at time 0, which has no duration
        assert scan.data.curves[THALAMUS].max() > 5e3


def published(data: pet.Pet, *, method: str, frames: int, level: Any = THALAMUS) -> float:
    """V_T with the choices of the analysis of these data by the authors of kinfitr: to 63 min, no blood volume."""
    keep = np.arange(len(data.start_s)) < 32
    assert data.plasma is not None
    short = pet.Pet(
        **{
            **{name: getattr(data, name) for name in data.__dataclass_fields__},
            "curves": {level: data.curves[level][keep]},
            "start_s": data.start_s[keep],
            "duration_s": data.duration_s[keep],
            "plasma": pet.Plasma(integral=data.plasma.integral[keep], blood=data.plasma.blood[keep]),
            "settings": {**data.settings, "blood_volume": 0.0},
        }
    )
    middle = short.start_s + short.duration_s / 2
    return float(pet.fit_volumes(short, [level], method=method, from_s=float(middle[-frames])).v_t[0])


@pytest.mark.parametrize(
    ("method", "frames", "roi", "mean", "sd", "cv"),
    [
        ("ma1", 6, "thalamus", 4.040, 2.246, 0.177),
        ("ma1", 6, "s1", 3.121, 1.505, 0.149),
        ("logan", 10, "thalamus", 3.779, 2.069, 0.173),
        ("logan", 10, "s1", 2.927, 1.478, 0.153),
    ],
)
def test_volumes_are_those_of_kinfitr(
    scans: dict[str, Scan], method: str, frames: int, roi: str, mean: float, sd: float, cv: float
) -> None:
    """Means, spread and within-person variation in the authors' analysis (github tjerkaskij/agreement_kinfitr_pmod).

    Theirs has a fitted delay and weights, and may have all twelve people of the study.
    """
    values = repeated(scans, lambda data: published(data, method=method, frames=frames, level=(roi, "n/a")))
    assert values.mean() == pytest.approx(mean, rel=0.05)
    assert values.std(ddof=1) == pytest.approx(sd, rel=0.1)
    assert within_person_cv(values) == pytest.approx(cv, abs=0.015)
    assert intraclass_correlation(values, kind="2,1").icc > 0.9


def test_the_two_methods_agree_and_repeat(scans: dict[str, Scan]) -> None:
    logan = repeated(scans, lambda data: pet.tspo_vt_logan(data)[THALAMUS].value)
    ma1 = repeated(scans, lambda data: pet.tspo_vt_ma1(data)[THALAMUS].value)
    assert np.corrcoef(logan.ravel(), ma1.ravel())[0, 1] > 0.995
    for values in (logan, ma1):
        found = intraclass_correlation(values, kind="2,1")
        assert found.icc == pytest.approx(0.93, abs=0.02)
        assert found.ci_low > 0.7
        assert absolute_difference(values).mean() == pytest.approx(20, abs=3)


def test_ratios_repeat_less_well_than_volumes(scans: dict[str, Scan]) -> None:
    """Ratios vary less between people than volumes do, and tell them apart less."""
    brain = repeated(scans, lambda data: pet.tspo_suvr_brain(data)[THALAMUS].value)
    cerebellum = repeated(scans, lambda data: pet.tspo_suvr_cerebellum(data)[THALAMUS].value)
    assert intraclass_correlation(brain, kind="2,1").icc == pytest.approx(0.55, abs=0.05)
    assert intraclass_correlation(cerebellum, kind="2,1").icc < 0.4
    assert within_person_cv(brain) == pytest.approx(read_config()["pet"]["rescan_cv"]["suvr"], abs=0.01)
    volumes = repeated(scans, lambda data: pet.tspo_vt_ma1(data)[THALAMUS].value)
    assert within_person_cv(volumes) == pytest.approx(read_config()["pet"]["rescan_cv"]["vt"], abs=0.015)


def test_the_noise_of_frames_is_small_beside_a_rescan(scans: dict[str, Scan]) -> None:
    data = scans["cgyu_1"].data
    quiet = pet.Pet(
        **{
            **{name: getattr(data, name) for name in data.__dataclass_fields__},
            "settings": {**data.settings, "rescan_cv": {"suvr": 0.0, "suv": 0.0, "vt": 0.0}},
        }
    )
    ratio, volume = pet.tspo_suvr_brain(quiet)[THALAMUS], pet.tspo_vt_ma1(quiet)[THALAMUS]
    assert 0.002 < ratio.se / ratio.value < 0.03
    assert 0.002 < volume.se / volume.value < 0.1
    assert pet.tspo_suvr(data)[THALAMUS].reasons[0].value == "region_absent"  # there is no occipital curve
