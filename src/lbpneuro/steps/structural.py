"""Step ``structural``: gray matter of one person, from whichever program segmented it, to the rows of its markers."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

from lbpneuro.io import modulated_maps, structural_sources
from lbpneuro.io.anatomy import label_image, label_table
from lbpneuro.io.files import write_json, write_nifti, write_tsv
from lbpneuro.io.provenance import bids_uri, dataset_roots, source_name
from lbpneuro.io.reference_cohort import person_facts
from lbpneuro.markers.tissue import MIDLINE, how_measured
from lbpneuro.markers.volume_gates import refusals
from lbpneuro.steps.command import Config, Measured, OutputFolder, family_step

NUCLEI = (
    "Thalamic intensity lies between gray and white matter: tissue probability misses 45-70 % of the thalamus. Deep "
    "nuclei are therefore volumes of their labels, where the source allows it; the method of a row says which."
)


def main(argv: list[str]) -> int:
    """Run the step."""
    return family_step("structural", measure, argv)


def measure(files: list[Path], config: Config, out: OutputFolder) -> Measured:
    """Return the numbers of one person; sources with maps also leave images of the regions and of the modulated map."""
    reading = structural_sources.read(files, config, who=(out.participant, out.session))
    _write_regions(reading, out)
    _write_map(reading, config, out)
    data = replace(reading.data, **person_facts(config, out.participant))
    sidecar = {
        "MeasuredBy": data.method,
        "RescanCV": config["structural"]["rescan_cv"][data.noise_of],
        "NucleiCaveat": NUCLEI,
        **reading.sidecar,
    }
    return Measured(
        data=data,
        method=reading.method,
        method_of=partial(how_measured, data, sentence=reading.method),
        source=source_name(reading.files, dataset_roots(config)),
        sidecar=sidecar,
    )


def _write_regions(reading: structural_sources.Reading, out: OutputFolder) -> None:
    """Write the regions on the person's own grid, where the maps are there; spheres lie on top of the labels."""
    shown = {level: region for level, region in reading.native.items() if level not in MIDLINE}
    if shown and reading.grid:
        write_nifti(out.file("anat", "dseg", ".nii.gz", desc="roi"), label_image(shown, grid=reading.grid))
        write_tsv(out.file("anat", "dseg", ".tsv", desc="roi"), label_table(shown))


def _write_map(reading: structural_sources.Reading, config: Config, out: OutputFolder) -> None:
    """Write the smoothed modulated map for voxelwise tests, where the source has maps in template space."""
    fwhm_mm = config["structural"]["map_fwhm_mm"]
    usable = fwhm_mm is not None and reading.data.regions and not refusals(reading.data)
    found = modulated_maps.modulated_gm(reading.files, source=reading.data.source) if usable else None
    if found is None:
        return
    smooth, affine = modulated_maps.smoothed(*found, fwhm_mm=fwhm_mm)
    names = {"space": modulated_maps.TEMPLATE, "label": "GM", "desc": "smoothed"}
    write_nifti(out.file("anat", "probseg", ".nii.gz", **names), modulated_maps.nifti(smooth, affine))
    roots = dataset_roots(config)
    sources = [bids_uri(path, roots) for path in reading.files]
    write_json(out.file("anat", "probseg", ".json", **names), modulated_maps.sidecar(fwhm_mm=fwhm_mm, sources=sources))
