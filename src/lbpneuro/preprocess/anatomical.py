"""From a raw T1w image to a brain mask, tissue maps and the transform to the template."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lbpneuro.io.images import mirrored_grid
from lbpneuro.io.regions import OTHER_SIDE
from lbpneuro.io.transforms import AntsImage, Grid, itk_image
from lbpneuro.preprocess.anatomy_maps import TemplateMaps, template_maps
from lbpneuro.preprocess.anatomy_quality import (
    Numbers,
    check_anatomy,
    template_quality,
    thalamus_quality,
    tissue_quality,
)
from lbpneuro.preprocess.extraction import Head, extract_brain, mask_ml, working_head
from lbpneuro.preprocess.itk import Box, box_around, coarsened, cropped, on_grid, unbiased, uncropped
from lbpneuro.preprocess.levels import Level
from lbpneuro.preprocess.progress import stage
from lbpneuro.preprocess.raw_images import placed
from lbpneuro.preprocess.templates import Template, template

WHITE_LEVEL = 100.0
MARGIN_MM = 6.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Anatomy:
    """What the T1w image yields; images are ITK images, native ones share one grid.

    ``tissues`` hold probabilities in [0, 1] by tissue; ``maps`` are those in template space; ``to_template`` and
    ``from_template`` are ITK composite transforms (affine and warp) in the folder of the session, and so is
    ``from_template_mirrored``, to the mirror image of the T1w image, if that was processed too. If
    the image was ``stripped`` of its skull before, the mask is the one used then; it may follow the sulci, and its
    volume is then less than the intracranial one.
    """

    t1w: AntsImage
    mask: AntsImage
    tissues: dict[str, AntsImage]
    maps: TemplateMaps
    to_template: Path
    from_template: Path
    stripped: bool
    quality: Numbers
    from_template_mirrored: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Segmented:
    """What a head yields before its maps are brought to the template: as ``Anatomy``, and the box around its brain."""

    t1w: AntsImage
    mask: AntsImage
    tissues: dict[str, AntsImage]
    to_template: Path
    from_template: Path
    stripped: bool
    quality: Numbers
    box: Box


def segment_anatomy(path: Path, *, level: Level, mirror: bool = False) -> Anatomy:
    """Segment and normalise the T1w image ``path``; to be run inside an ``ants_session``.

    With ``mirror`` its mirror image is processed as well, and masks and tissue maps are the mean of both.

    Raises
    ------
    InputError
        If the file is no usable image.
    QualityError
        If the mask, the alignment or the tissue volumes are not those of a head.
    """
    with stage("reading"):
        head = working_head(path, level.anat_mm, centred=mirror)
    found = segmented(head, path=path, level=level)
    other = segmented(mirrored_head(head), path=path, level=level) if mirror else None
    whole = found if other is None else joined(found, other)
    with stage("maps in template space"):
        brain, *tissues = (cropped(image, found.box) for image in (found.t1w, *whole.tissues.values()))
        brain = brain_of(brain, mask=cropped(found.mask, found.box))
        maps = template_maps(
            brain, dict(zip(whole.tissues, tissues, strict=True)), transform=found.to_template, level=level
        )
    return Anatomy(
        t1w=found.t1w,
        mask=whole.mask,
        tissues=whole.tissues,
        maps=maps,
        to_template=found.to_template,
        from_template=found.from_template,
        from_template_mirrored=None if other is None else other.from_template,
        stripped=whole.stripped,
        quality=whole.quality | maps.quality,
    )


def segmented(head: Head, *, path: Path, level: Level) -> Segmented:
    """Return the brain mask, the tissues and the transforms of a head; ``path`` is for messages."""
    with stage("brain extraction"):
        mask, stripped = extract_brain(head, target=template(level.extraction_mm, priors=False), level=level)
        check_anatomy({"brain_ml": mask_ml(mask)}, path=path)
    with stage("bias field of the brain"):
        t1w = scaled(brain_unbiased(head.image, mask=mask, level=level), mask=mask)
        box = box_around(mask, margin=round(MARGIN_MM / min(mask.spacing)))
        inside = cropped(mask, box)
        brain = brain_of(cropped(t1w, box), mask=inside)
    with stage("template"):
        target = template(level.template_mm)
    with stage("normalisation"):
        to_template, from_template = normalise(brain, target=target, level=level)
    with stage("segmentation"):
        tissues = segment(brain, mask=inside, target=target, transform=from_template, level=level)
    with stage("quality"):
        moved = [warp(image, like=target.brain, transform=to_template) for image in (brain, inside)]
        quality = {
            **tissue_quality(tissues, t1w=brain, mask=inside),
            **template_quality(*moved, target=target),
            **thalamus_quality(from_template, like=brain),
        }
        check_anatomy(quality, path=path)
    return Segmented(
        t1w=t1w,
        mask=mask,
        tissues={tissue: uncropped(image, box, like=mask) for tissue, image in tissues.items()},
        to_template=to_template,
        from_template=from_template,
        stripped=stripped,
        quality=quality,
        box=box,
    )


def brain_of(t1w: AntsImage, *, mask: AntsImage) -> AntsImage:
    """Return the brain as it is registered and segmented: bright voxels cut, 0 outside the mask."""
    return on_grid(np.clip(t1w.numpy(), 0.0, 1.2 * WHITE_LEVEL) * mask.numpy(), mask)


def mirrored_head(head: Head) -> Head:
    """Return the mirror image of a head: x becomes -x, and its first axis is read backwards."""
    turned = _mirrored(head.image_affine, head.image.shape)
    return replace(
        head,
        image=itk_image(head.image.numpy()[::-1], turned),
        image_affine=turned,
        content=head.content[::-1],
        affine=_mirrored(head.affine, head.content.shape),
    )


def _mirrored(affine: NDArray[np.float64], shape: tuple[int, ...]) -> NDArray[np.float64]:
    return placed(np.asarray(mirrored_grid(Grid(affine=affine, shape=shape)).affine), shape)


def joined(found: Segmented, other: Segmented) -> Segmented:
    """Return what a head and its mirror image say together, on the grid of the head.

    Tissue probabilities and figures of quality are the mean of both, left and right exchanged in those of the mirror
    image; the mask is what is brain in either.
    """
    back = {name: image.numpy()[::-1] for name, image in (("mask", other.mask), *other.tissues.items())}
    tissues = {name: on_grid((image.numpy() + back[name]) / 2, image) for name, image in found.tissues.items()}
    exchanged = other.quality | {
        f"thalamus_{side}_ml": other.quality[f"thalamus_{opposite}_ml"] for side, opposite in OTHER_SIDE.items()
    }
    quality = {name: (number + exchanged[name]) / 2 for name, number in found.quality.items()}
    return replace(
        found,
        mask=on_grid(np.maximum(found.mask.numpy(), back["mask"]), found.mask),
        tissues=tissues,
        stripped=found.stripped or other.stripped,
        quality=quality | {"thalamus_ratio": quality["thalamus_L_ml"] / quality["thalamus_R_ml"]},
    )


def brain_unbiased(head: AntsImage, *, mask: AntsImage, level: Level) -> AntsImage:
    """Return ``head`` with the bias field estimated inside ``mask``; the rest is scaled to match.

    ANTs corrects inside the mask only, which leaves a step of more than twice the intensity at its edge.
    """
    box = box_around(mask, margin=1)
    part = unbiased(cropped(head, box), mask=cropped(mask, box), spacing_mm=level.bias_spacing_mm, level=level)
    after = uncropped(part, box, like=head).numpy()
    inside, before = mask.numpy() > 0, head.numpy()
    known = inside & (before > 0)
    return on_grid(np.where(inside, after, before * np.median(after[known] / before[known])), head)


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

    moving = coarsened(brain, level.template_mm)
    affine = ants.registration(fixed=target.brain, moving=moving, type_of_transform="antsRegistrationSyNQuickRepro[a]")[
        "fwdtransforms"
    ]
    result = ants.registration(
        fixed=target.brain,
        moving=moving,
        type_of_transform="SyNOnly",
        initial_transform=affine[0],
        syn_metric="CC",
        syn_sampling=2,
        grad_step=level.gradient_step,
        reg_iterations=level.normalisation_iterations,
        write_composite_transform=True,
    )
    return Path(result["fwdtransforms"]), Path(result["invtransforms"])


def warp(image: AntsImage, *, like: AntsImage, transform: Path) -> AntsImage:
    """Return ``image`` on the grid of ``like`` through a composite transform, trilinear."""
    import ants

    return ants.apply_transforms(like, image, [str(transform)])


def segment(
    brain: AntsImage, *, mask: AntsImage, target: Template, transform: Path, level: Level
) -> dict[str, AntsImage]:
    """Return the CSF, GM and WM probability inside ``mask``, by the priors of the template."""
    priors = native_priors(brain, target=target, transform=transform)
    return posteriors(brain, mask=mask, priors=priors, weight=level.prior_weight)


def posteriors(
    brain: AntsImage, *, mask: AntsImage, priors: dict[str, AntsImage], weight: float
) -> dict[str, AntsImage]:
    """Return the probability of every tissue inside ``mask`` (Atropos; https://doi.org/10.1007/s12021-011-9109-y).

    Random seeding is off (``r=0``): with it Atropos differs from run to run. The priors pass through files, which
    round where a grid lies by more than Atropos allows; its images therefore begin at the origin.
    """
    import ants

    spacing = tuple(float(np.float32(each)) for each in brain.spacing)
    image, inside, *known = (
        ants.from_numpy(each.numpy().astype(np.float32), spacing=spacing) for each in (brain, mask, *priors.values())
    )
    result = ants.atropos(a=image, x=inside, i=known, m="[0.1,1x1x1]", c="[10,0.0001]", priorweight=weight, r=0)
    return {
        tissue: on_grid(found.numpy() * mask.numpy(), brain)
        for tissue, found in zip(priors, result["probabilityimages"], strict=True)
    }


def native_priors(brain: AntsImage, *, target: Template, transform: Path) -> dict[str, AntsImage]:
    """Return the template's tissue priors in the space of ``brain``, summing to 1; outside the template is CSF."""
    moved = {name: warp(image, like=brain, transform=transform).numpy() for name, image in target.priors.items()}
    moved["CSF"] = np.maximum(moved["CSF"], 1.0 - sum(moved.values()))
    total = sum(moved.values())
    return {name: on_grid(values / total, brain) for name, values in moved.items()}
