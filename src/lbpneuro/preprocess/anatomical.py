"""From a raw T1w image to a brain mask, tissue maps and the transform to the template."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lbpneuro.errors import QualityError
from lbpneuro.io.transforms import AntsImage, itk_image
from lbpneuro.preprocess.itk import on_grid, voxel_ml
from lbpneuro.preprocess.levels import Level
from lbpneuro.preprocess.progress import stage
from lbpneuro.preprocess.raw_images import read_head
from lbpneuro.preprocess.templates import TISSUES, Template, fwhm_to_sigma, template

STRIPPED_SHARE = 0.02
WHITE_LEVEL = 100.0
BRAIN_ML = (1000.0, 2000.0)
PLAUSIBLE = {
    "template correlation": (0.6, 1.0),
    "CSF / TIV": (0.05, 0.35),
    "GM / TIV": (0.35, 0.62),
    "WM / TIV": (0.22, 0.45),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Anatomy:
    """What the T1w image yields; images are ITK images, native ones share one grid.

    ``tissues`` and ``template_tissues`` hold probabilities in [0, 1] by tissue; ``to_template`` and
    ``from_template`` are ITK composite transforms (affine and warp) in the folder of the session. If
    the image was ``stripped`` of its skull before, the mask is the one used then; it may follow the sulci, and its
    volume is then less than the intracranial one.
    """

    t1w: AntsImage
    mask: AntsImage
    tissues: dict[str, AntsImage]
    template_tissues: dict[str, AntsImage]
    to_template: Path
    from_template: Path
    stripped: bool
    quality: dict[str, float]


def segment_anatomy(path: Path, *, level: Level) -> Anatomy:
    """Segment and normalise the T1w image ``path``; to be run inside an ``ants_session``.

    Raises
    ------
    InputError
        If the file is no usable image.
    QualityError
        If the mask, the alignment or the tissue volumes are not those of a head.
    """
    with stage("template"):
        target = template(level.template_mm)
    with stage("bias field of the head"):
        head, support = working_head(path, level.anat_mm)
        head = unbiased(head, mask=None, level=level)
    with stage("brain extraction"):
        mask, stripped = extract_brain(head, support=support, target=target, level=level)
    check_brain_volume(mask, path=path)
    with stage("bias field of the brain"):
        t1w = scaled(brain_unbiased(head, mask=mask, level=level), mask=mask)
    brain = on_grid(np.clip(t1w.numpy(), 0.0, 1.2 * WHITE_LEVEL) * mask.numpy(), t1w)
    with stage("normalisation"):
        to_template, from_template = normalise(brain, target=target, level=level)
    with stage("segmentation"):
        tissues = segment(brain, mask=mask, target=target, transform=from_template, level=level)
    template_tissues = {name: warp(image, like=target.brain, transform=to_template) for name, image in tissues.items()}
    normalised = warp(brain, like=target.brain, transform=to_template)
    quality = anatomy_quality(tissues, mask=mask, normalised=normalised, target=target)
    check_anatomy(quality, path=path)
    return Anatomy(
        t1w=t1w,
        mask=mask,
        tissues=tissues,
        template_tissues=template_tissues,
        to_template=to_template,
        from_template=from_template,
        stripped=stripped,
        quality=quality,
    )


def working_head(path: Path, spacing_mm: float) -> tuple[AntsImage, AntsImage]:
    """Read a T1w image; return it on a ``spacing_mm`` grid, and the share of each voxel that is not empty (0).

    Intensities beyond the 0.1 and 99.9 % are cut.
    """
    image = read_head(path)
    low, high = np.quantile(image.data[image.data != 0], (0.001, 0.999))
    head = itk_image(np.clip(image.data, min(low, 0.0), high), image.affine)
    support = itk_image(image.data != 0, image.affine)
    return coarsened(head, spacing_mm), coarsened(support, spacing_mm)


def coarsened(image: AntsImage, spacing_mm: float) -> AntsImage:
    """Return ``image`` smoothed to and sampled at ``spacing_mm``; axes that are as coarse already stay."""
    import ants

    old = np.asarray(image.spacing)
    new = np.maximum(old, spacing_mm)
    if np.allclose(old, new):
        return image
    sigma = fwhm_to_sigma(1.0) * np.sqrt(new**2 - old**2)
    smooth = ants.smooth_image(image, tuple(sigma), sigma_in_physical_coordinates=True)
    return ants.resample_image(smooth, tuple(new), use_voxels=False, interp_type=0)


def unbiased(image: AntsImage, *, mask: AntsImage | None, level: Level) -> AntsImage:
    """Return ``image`` without its smooth multiplicative bias field (N4; https://doi.org/10.1109/TMI.2010.2046908)."""
    import ants

    return ants.n4_bias_field_correction(
        image,
        mask=mask,
        shrink_factor=level.bias_shrink,
        convergence={"iters": list(level.bias_iterations), "tol": 1e-7},
    )


def brain_unbiased(head: AntsImage, *, mask: AntsImage, level: Level) -> AntsImage:
    """Return ``head`` with the bias field estimated inside ``mask``; the rest is scaled to match.

    ANTs corrects inside the mask only, which leaves a step of more than twice the intensity at its edge.
    """
    inside, before = mask.numpy() > 0, head.numpy()
    after = unbiased(head, mask=mask, level=level).numpy()
    known = inside & (before > 0)
    return on_grid(np.where(inside, after, before * np.median(after[known] / before[known])), head)


def extract_brain(head: AntsImage, *, support: AntsImage, target: Template, level: Level) -> tuple[AntsImage, bool]:
    """Return the brain mask of a head, or of an image whose skull is already stripped, and whether it is.

    The template has no skull; registering a whole head to it works because the metric is taken only inside the
    (dilated) brain mask of the template.
    """
    import ants

    near = ants.iMath(target.mask, "MD", 4)
    affine = ants.registration(
        fixed=target.brain, moving=head, type_of_transform="antsRegistrationSyNQuickRepro[a]", mask=near
    )["fwdtransforms"]
    if is_skull_stripped(head, near=ants.apply_transforms(head, near, affine, whichtoinvert=[True])):
        return filled(support.numpy() > 0.5, like=head), True
    warps = ants.registration(
        fixed=target.brain,
        moving=head,
        type_of_transform="SyN",
        initial_transform=affine[0],
        mask=ants.iMath(target.mask, "MD", 2),
        syn_metric="CC",
        syn_sampling=2,
        reg_iterations=level.extraction_iterations,
    )["invtransforms"]
    moved = ants.apply_transforms(head, target.mask, warps, whichtoinvert=[True, False])
    return filled(moved.numpy() > 0.5, like=head), False


def is_skull_stripped(head: AntsImage, *, near: AntsImage) -> bool:
    """Tell whether almost no intensity lies outside ``near``, the dilated brain."""
    values = np.clip(head.numpy(), 0.0, None)
    return float(values[near.numpy() < 0.5].sum()) < STRIPPED_SHARE * float(values.sum())


def filled(mask: np.ndarray, *, like: AntsImage) -> AntsImage:
    """Return the largest piece of ``mask`` with its holes filled, on the grid of ``like``."""
    from scipy.ndimage import binary_fill_holes, label

    pieces, _ = label(mask)
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    return on_grid(binary_fill_holes(pieces == sizes.argmax()), like)


def scaled(image: AntsImage, *, mask: AntsImage) -> AntsImage:
    """Return ``image`` with the 99th percentile inside ``mask`` at 100, negative values at 0."""
    values = image.numpy()
    top = np.quantile(values[mask.numpy() > 0], 0.99)
    return on_grid(np.clip(values, 0.0, None) * (WHITE_LEVEL / top), image)


def normalise(brain: AntsImage, *, target: Template, level: Level) -> tuple[Path, Path]:
    """Register ``brain`` to the template (SyN, cross-correlation; https://doi.org/10.1016/j.media.2007.06.004).

    Returns
    -------
    to_template, from_template : Path
        ITK composite transforms, to be used for images of the T1w and of the template space.
    """
    import ants

    result = ants.registration(
        fixed=target.brain, moving=brain, type_of_transform=level.normalisation, write_composite_transform=True
    )
    return Path(result["fwdtransforms"]), Path(result["invtransforms"])


def warp(image: AntsImage, *, like: AntsImage, transform: Path) -> AntsImage:
    """Return ``image`` on the grid of ``like`` through a composite transform, trilinear."""
    import ants

    return ants.apply_transforms(like, image, [str(transform)])


def segment(
    brain: AntsImage, *, mask: AntsImage, target: Template, transform: Path, level: Level
) -> dict[str, AntsImage]:
    """Return the CSF, GM and WM probability inside ``mask`` (Atropos; https://doi.org/10.1007/s12021-011-9109-y).

    Random seeding is off (``r=0``): with it Atropos differs from run to run.
    """
    import ants

    priors = native_priors(brain, target=target, transform=transform)
    result = ants.atropos(
        a=brain,
        x=mask,
        i=list(priors.values()),
        m="[0.1,1x1x1]",
        c="[10,0.0001]",
        priorweight=level.prior_weight,
        r=0,
    )
    return {
        tissue: on_grid(image.numpy() * mask.numpy(), brain)
        for tissue, image in zip(priors, result["probabilityimages"], strict=True)
    }


def native_priors(brain: AntsImage, *, target: Template, transform: Path) -> dict[str, AntsImage]:
    """Return the template's tissue priors in the space of ``brain``, summing to 1; outside the template is CSF."""
    moved = {name: warp(image, like=brain, transform=transform).numpy() for name, image in target.priors.items()}
    moved["CSF"] = np.maximum(moved["CSF"], 1.0 - sum(moved.values()))
    total = sum(moved.values())
    return {name: on_grid(values / total, brain) for name, values in moved.items()}


def anatomy_quality(
    tissues: dict[str, AntsImage], *, mask: AntsImage, normalised: AntsImage, target: Template
) -> dict[str, float]:
    """Return brain and tissue volumes (mL) and the correlation with the template inside its mask."""
    inside = target.mask.numpy() > 0
    correlation = np.corrcoef(normalised.numpy()[inside], target.brain.numpy()[inside])[0, 1]
    volumes = {f"{name}_ml": float(image.sum()) * voxel_ml(image) for name, image in tissues.items()}
    return {"brain_ml": float(mask.sum()) * voxel_ml(mask), **volumes, "template_correlation": float(correlation)}


def check_brain_volume(mask: AntsImage, *, path: Path) -> None:
    """Raise QualityError if the brain mask has not the volume of a head's content."""
    volume = float(mask.sum()) * voxel_ml(mask)
    if not BRAIN_ML[0] <= volume <= BRAIN_ML[1]:
        raise QualityError(
            f"{path}: the extracted brain has {volume:.0f} mL, expected {BRAIN_ML[0]:.0f} to {BRAIN_ML[1]:.0f} mL; "
            "look at the image, or supply fMRIPrep derivatives."
        )


def check_anatomy(quality: dict[str, float], *, path: Path) -> None:
    """Raise QualityError if the alignment with the template or the tissue shares are implausible."""
    shares = {f"{tissue} / TIV": quality[f"{tissue}_ml"] / quality["brain_ml"] for tissue in TISSUES}
    found = {"template correlation": quality["template_correlation"], **shares}
    wrong = [
        f"{name} {found[name]:.2f} ({low} to {high})"
        for name, (low, high) in PLAUSIBLE.items()
        if not low <= found[name] <= high
    ]
    if wrong:
        raise QualityError(f"{path}: the segmentation is implausible: {', '.join(wrong)}; look at the image.")
