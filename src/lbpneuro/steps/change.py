"""Step ``change``: the raw T1w images of the first and of a later session to the rows of the change of gray matter."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lbpneuro.errors import InputError, Reason
from lbpneuro.io.anatomy import NativeRegion, label_image, label_table
from lbpneuro.io.files import raise_upstream_error, write_nifti, write_tsv
from lbpneuro.io.index import entities
from lbpneuro.io.regions import read_regions
from lbpneuro.io.transforms import Grid
from lbpneuro.markers.change import Change, nothing_compared, region_levels
from lbpneuro.preprocess.between_sessions import Compared, change_between, compared_regions, read_session
from lbpneuro.preprocess.derivatives import nifti
from lbpneuro.preprocess.itk import ants_session
from lbpneuro.preprocess.levels import level
from lbpneuro.steps.command import Config, Measured, OutputFolder, family_step

METHOD = (
    "Change since {first}: symmetric registration of the two raw T1w images in their common middle, Jacobian "
    "determinant over labels of the Desikan-Killiany atlas, brought there through the mean of the two; level {level}"
)
ALONE = "Not compared with another session"


def main(argv: list[str]) -> int:
    """Run the step."""
    return family_step("change", measure, argv)


def measure(files: list[Path], config: Config, out: OutputFolder) -> Measured:
    """Return the changes since the first session, or why there are none."""
    settings = config["change"]
    if not settings["enabled"]:
        return Measured(data=nothing_compared(Reason.SWITCHED_OFF, settings), method=ALONE)
    images = {_session(path): path for path in files if _is_raw(path)}
    first = next((name for name in sorted(images) if name != out.session), None)
    if out.session is None or first is None:
        return Measured(data=nothing_compared(Reason.FIRST_SESSION, settings), method=ALONE)
    pair = [(images[name], _mask(files, name, out)) for name in (first, out.session)]
    processing = level(config["preprocess"]["level"])
    regions = compared_regions(read_regions(Path(config["functional"]["rois"])))
    with ants_session():
        sessions = [read_session(t1w, mask) for t1w, mask in pair]
        compared = change_between(*sessions, regions=regions, level=processing, settings=settings)
    _write_pictures(compared, config, out)
    found = compared.change
    return Measured(
        data=found,
        method=METHOD.format(first=first, level=processing.name),
        sidecar={
            "FirstSession": first,
            "TemplateDice": round(found.template_dice, 4),
            "VolumesML": _volumes(found),
            "ErrorBeyondScatter": settings["error"][processing.name],
        },
    )


def _write_pictures(compared: Compared, config: Config, out: OutputFolder) -> None:
    """Write the mean of the two brains and the reported labels in the space between the sessions."""
    levels = [level for level in region_levels(config) if level in compared.labels]
    shown = {level: NativeRegion(weights=compared.labels[level], start=(0, 0, 0)) for level in levels}
    grid = Grid(affine=compared.affine, shape=compared.mean.shape)
    write_nifti(out.file("anat", "T1w", ".nii.gz", desc="change"), nifti(compared.mean, compared.affine))
    write_nifti(out.file("anat", "dseg", ".nii.gz", desc="change"), label_image(shown, grid=grid))
    write_tsv(out.file("anat", "dseg", ".tsv", desc="change"), label_table(shown))


def _volumes(found: Change) -> dict[str, list[float]]:
    """Return the volumes (mL) of the labels in the first and in this session."""
    return {
        "_".join(name): [round(one.first_ml, 4), round(one.second_ml, 4)] for name, one in sorted(found.labels.items())
    }


def _session(path: Path) -> str:
    return f"ses-{entities(path).get('ses', '')}"


def _is_raw(path: Path) -> bool:
    named = entities(path)
    return named.get("suffix") == "T1w" and "desc" not in named and "space" not in named


def _mask(files: Sequence[Path], name: str, out: OutputFolder) -> Path:
    """Return the brain mask of a session in its own space.

    Raises
    ------
    LbpneuroError
        With the reason of the embedded anatomy where that failed.
    InputError
        If there is none (reason ``no_derivative``).
    """
    for path in files:
        named = entities(path)
        if named.get("suffix") == "mask" and "space" not in named and _session(path) == name:
            return path
    manifest = out.root / out.participant / name / "anat" / f"{out.participant}_{name}_desc-embedded_anat.json"
    if manifest.is_file():
        raise_upstream_error(manifest)
    raise InputError(
        f"{out.participant} {name}: there is no brain mask of the raw T1w image. It comes from the embedded anatomy "
        "(`structural.source: embedded`), or from fMRIPrep where it processed the sessions one by one.",
        reason=Reason.NO_DERIVATIVE,
    )
