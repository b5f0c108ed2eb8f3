"""Step ``structural``: tissue probability maps to the rows of the gray-matter markers."""

from __future__ import annotations

from pathlib import Path

from lbpneuro.io import structural_sources
from lbpneuro.io.anatomy import label_image, label_table
from lbpneuro.io.files import write_nifti, write_tsv
from lbpneuro.io.provenance import dataset_roots, source_name
from lbpneuro.steps.command import Config, Measured, OutputFolder, family_step


def main(argv: list[str]) -> int:
    """Run the step."""
    return family_step("structural", measure, argv)


def measure(files: list[Path], config: Config, out: OutputFolder) -> Measured:
    """Return the numbers of one person; maps in the person's own space also leave an image of the regions."""
    reading = structural_sources.read(files, config, who=(out.participant, out.session))
    if reading.native and reading.grid:
        write_nifti(out.file("anat", "dseg", ".nii.gz", desc="roi"), label_image(reading.native, grid=reading.grid))
        write_tsv(out.file("anat", "dseg", ".tsv", desc="roi"), label_table(reading.native))
    source = source_name(reading.files, dataset_roots(config))
    return Measured(data=reading.data, method=reading.method, source=source, sidecar=reading.sidecar)
