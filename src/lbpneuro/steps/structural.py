"""Step ``structural``: tissue probability maps to the rows of the gray-matter markers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lbpneuro.io import anatomy
from lbpneuro.io.files import write_nifti, write_tsv
from lbpneuro.io.images import block
from lbpneuro.io.regions import read_regions, require
from lbpneuro.markers.tissue import MAP_REGIONS, RegionMap, from_native_maps
from lbpneuro.steps.command import Config, Measured, OutputFolder, family_step

METHOD = "Tissue probabilities summed over the brain and over labelled regions"
THALAMUS = (
    "Thalamic intensity lies between gray and white matter: tissue probability misses 45-70 % of the thalamus. "
    "Its values rank people measured alike; they are not its anatomical volume."
)


def main(argv: list[str]) -> int:
    """Run the step."""
    return family_step("structural", measure, argv)


def measure(files: list[Path], config: Config, out: OutputFolder) -> Measured:
    """Return the maps and regions of one person; without a transform from template space, no regions."""
    regions = require(read_regions(Path(config["functional"]["rois"])), MAP_REGIONS)
    maps, head = anatomy.read_tissues(files), anatomy.head_metadata(files)
    transform = anatomy.template_transform(files, space=next(iter(regions.values())).space)
    native = anatomy.native_regions(regions, transform, grid=maps.grid) if transform else {}
    if native:
        write_nifti(out.file("anat", "dseg", ".nii.gz", desc="roi"), anatomy.label_image(native, grid=maps.grid))
        write_tsv(out.file("anat", "dseg", ".tsv", desc="roi"), anatomy.label_table(native))
    data = from_native_maps(
        source="embedded" if head.get("Level") else "fmriprep",
        settings=config["structural"],
        gm=maps.gm.data,
        wm=maps.wm.data,
        csf=maps.csf.data,
        voxel_mm3=maps.gm.voxel_mm3,
        regions={level: region_map(region, maps) for level, region in native.items()},
        level=head.get("Level", ""),
        stripped=head.get("SkullStripped") is True,
    )
    sidecar = {
        "BrainMask": maps.mask.path.name if maps.mask else "tissue probabilities add up to more than one half",
        "Transform": transform.name if transform else "none: regional volumes need the transform from template space",
        "RegionSources": {"_".join(level): region.source for level, region in regions.items()},
        "RegionEvidence": {"_".join(level): region.evidence for level, region in regions.items()},
        "ThalamusCaveat": THALAMUS,
    }
    return Measured(data=data, method=METHOD, sidecar=sidecar)


def region_map(region: anatomy.NativeRegion, maps: anatomy.TissueMaps) -> RegionMap:
    """Return a region with the gray matter and the segmented brain of its box; both are empty beyond the image."""
    box: dict[str, Any] = {"start": region.start, "shape": region.weights.shape}
    return RegionMap(weights=region.weights, gm=block(maps.gm.data, **box), inside=block(maps.inside, **box))
