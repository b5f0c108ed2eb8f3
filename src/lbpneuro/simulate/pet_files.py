"""Writes the PET scan of a visit after PET-BIDS: frames, metadata and arterial blood."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lbpneuro.io.files import write_json, write_nifti, write_tsv
from lbpneuro.simulate.anatomy import anatomy
from lbpneuro.simulate.bold import bold_mm
from lbpneuro.simulate.imaging_files import SCANNER_CODE
from lbpneuro.simulate.people import Person, Visit
from lbpneuro.simulate.pet import (
    NUCLIDE,
    TRACER,
    PetSettings,
    Tracer,
    affinity,
    body_mass_kg,
    brain_uptake,
    frames_of_brain,
    kinetics,
    pet_truth,
)
from lbpneuro.simulate.study import Study
from lbpneuro.simulate.truth import TruthRow

if TYPE_CHECKING:
    import pandas as pd

SAMPLES_S = (0, 10, 20, 30, 40, 50, 55, 60, 65, 70, 80, 90, 105, 120, 150, 180, 240, 300, 420, 600, 900, 1200, 1800)
LATE_S = (2400, 3000, 3600, 4200, 4800, 5400)
PARENT_S = (0, 120, 300, 600, 1200, 1800, 2700, 3600, 4500, 5400)
KBQ_STEP = 0.002
"""Activity per stored number (kBq/mL)."""


def write_pet(study: Study, visit: Visit) -> list[TruthRow]:
    """Write the raw PET scan of a visit with its blood; return the planted values. Nothing in a study without PET."""
    if study.pet is None:
        return []
    settings = study.pet
    head = anatomy(visit, voxel_mm=study.voxel_mm, settings=study.anatomy)
    tracer = kinetics(visit, settings)
    uptake = brain_uptake(visit, head, settings=settings)
    image = frames_of_brain(visit, uptake, tracer=tracer, settings=settings, voxel_mm=bold_mm(study.voxel_mm))
    folder = study.raw / visit.folder / "pet"
    grid, frames = image
    import nibabel as nib

    stored = nib.Nifti1Image(np.rint(frames / KBQ_STEP).clip(-32768, 32767).astype(np.int16), grid.affine)
    stored.header.set_slope_inter(KBQ_STEP, 0)
    stored.header.set_xyzt_units("mm", "sec")
    stored.set_sform(grid.affine, code=SCANNER_CODE)
    stored.set_qform(grid.affine, code=SCANNER_CODE)
    write_nifti(folder / f"{visit.prefix}_pet.nii.gz", stored)
    write_json(folder / f"{visit.prefix}_pet.json", metadata(tracer, settings))
    table, about = blood_table(visit, tracer, settings=settings)
    write_tsv(folder / f"{visit.prefix}_recording-manual_blood.tsv", table)
    write_json(folder / f"{visit.prefix}_recording-manual_blood.json", about)
    return pet_truth(visit, head, tracer=tracer, settings=settings)


def metadata(tracer: Tracer, settings: PetSettings) -> dict[str, Any]:
    """Return the sidecar of the frames."""
    return {
        "Manufacturer": "simulated",
        "ManufacturersModelName": "simulated",
        "Units": "kBq/mL",
        "BodyPart": "BRAIN",
        "TracerName": TRACER,
        "TracerRadionuclide": NUCLIDE,
        "InjectedRadioactivity": settings.dose_mbq,
        "InjectedRadioactivityUnits": "MBq",
        "InjectedMass": 1.0,
        "InjectedMassUnits": "ug",
        "SpecificRadioactivity": settings.dose_mbq,
        "SpecificRadioactivityUnits": "MBq/ug",
        "ModeOfAdministration": "bolus",
        "TimeZero": "13:00:00",
        "ScanStart": 0,
        "InjectionStart": 0,
        "FrameTimesStart": tracer.frames.start_s.tolist(),
        "FrameDuration": tracer.frames.duration_s.tolist(),
        "AcquisitionMode": "list mode",
        "ImageDecayCorrected": True,
        "ImageDecayCorrectionTime": 0,
        "AttenuationCorrection": "none: nothing attenuates in a simulation",
        "ReconMethodName": "none",
        "ReconMethodParameterLabels": ["none"],
        "ReconMethodParameterUnits": ["none"],
        "ReconMethodParameterValues": [0],
        "ReconFilterType": "none",
        "ReconFilterSize": 0,
    }


def blood_table(visit: Visit, tracer: Tracer, *, settings: PetSettings) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Return the arterial samples with the error of this session, and their sidecar."""
    import pandas as pd

    rng = visit.passing("blood")
    times = np.array([*SAMPLES_S, *LATE_S], dtype=float)
    factor = np.exp(-settings.rescan["blood"] * float(rng.standard_normal()))
    share = 0.1 + 0.9 * np.exp(-times / 60 / 12)
    plasma, blood = (
        np.interp(times, tracer.given.times_s, curve) * factor for curve in (tracer.given.plasma, tracer.given.blood)
    )
    measured = plasma * np.exp(rng.normal(0, 0.01, len(times)))
    table = pd.DataFrame(
        {
            "time": times,
            "plasma_radioactivity": measured / share,
            "whole_blood_radioactivity": blood,
            "metabolite_parent_fraction": np.where(np.isin(times, PARENT_S), share, np.nan),
        }
    )
    unit = {"Units": "kBq/mL"}
    about = {
        "PlasmaAvail": True,
        "WholeBloodAvail": True,
        "MetaboliteAvail": True,
        "MetaboliteRecoveryCorrectionApplied": False,
        "MetaboliteMethod": "simulated",
        "DispersionCorrected": True,
        "time": {"Description": "Time after TimeZero.", "Units": "s"},
        "plasma_radioactivity": {"Description": "Total activity of plasma, decay corrected.", **unit},
        "whole_blood_radioactivity": {"Description": "Activity of whole blood, decay corrected.", **unit},
        "metabolite_parent_fraction": {"Description": "Share of the parent compound.", "Units": "arbitrary"},
    }
    return table, about


def pet_columns(people: Sequence[Person], *, seed: int) -> tuple[dict[str, list[Any]], dict[str, Any]]:
    """Return the columns of participants.tsv that PET needs, and their dictionary."""
    columns: dict[str, list[Any]] = {
        "weight": [body_mass_kg(one, seed=seed) for one in people],
        "rs6971": [str(affinity(one, seed=seed)) for one in people],
    }
    levels = {"HAB": "high affinity, C/C", "MAB": "mixed affinity, C/T", "LAB": "low affinity, T/T"}
    about = {
        "weight": {"Description": "Body mass.", "Units": "kg"},
        "rs6971": {"Description": "Binding class by the TSPO polymorphism rs6971.", "Levels": levels},
    }
    return columns, about
