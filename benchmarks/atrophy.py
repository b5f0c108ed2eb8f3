"""How much of a planted change of regional volume is recovered from raw T1w images, by level.

``python -m benchmarks.atrophy --level draft [--simulated 3] [--real NAME ...] [--losses 0 10] [--seed 5] --out FILE``
``python -m benchmarks.atrophy --level standard --registration "antsRegistrationSyN[s]" --within no --simulated 3``
``python -m benchmarks.atrophy --level standard --mirror --within no --real studyforrest``
``python -m benchmarks.atrophy --page``

Every head is scanned once as it is, and once more per loss, in another pose and with other noise; the first of the
losses is 0, a rescan. Simulated heads plant the change in the left DLPFC and the right thalamus of the phantom; a real
image is deformed by a field whose Jacobian has the wanted mean over the labels found in it. ``across`` are the
differences between images processed one by one, ``within`` those of the registration of the two images of a head.
Results are added to the JSON file, one entry per head, level and loss; ``--page`` makes the page and the figure from
benchmarks/results/atrophy.json. ``--registration`` takes a recipe of ANTs with its defaults for the registration of the
level to the template, and leaves the segmentation out; all else is as at the level. ``--mirror`` fuses the labels of
every scan with those of its mirror image, as ``preprocess.mirror`` does.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from scipy import ndimage

from benchmarks import atrophy_page
from benchmarks.side import ROOT
from lbpneuro.io.anatomy import NativeRegion, fused, mirrored_regions, native_regions
from lbpneuro.io.files import write_nifti
from lbpneuro.io.images import Grid as ImageGrid
from lbpneuro.io.images import load_image, place
from lbpneuro.io.regions import Region, read_regions
from lbpneuro.io.resources import workflow_folder
from lbpneuro.preprocess import anatomical
from lbpneuro.preprocess.anatomical import Anatomy, normalise, segment_anatomy
from lbpneuro.preprocess.extraction import extract_brain, working_head
from lbpneuro.preprocess.itk import ants_session, coarsened, grid_affine, on_grid
from lbpneuro.preprocess.levels import level as level_of
from lbpneuro.preprocess.longitudinal import (
    COARSE_ROUNDS,
    ROUNDS,
    label_changes,
    mean_brain,
    middle_regions,
    session,
    within_person,
)
from lbpneuro.preprocess.symmetric import Round
from lbpneuro.preprocess.templates import template
from lbpneuro.simulate.anatomy import AnatomySettings, rigid_affine
from lbpneuro.simulate.grids import Grid
from lbpneuro.simulate.heads import PLANTED, head, true_volumes
from lbpneuro.simulate.imaging_files import nifti
from lbpneuro.simulate.people import Visit, person
from lbpneuro.simulate.warps import divergence_velocity, exponential, jacobian

SHARED = ROOT.parent / "shared" / "data"
REAL = {
    "studyforrest": "studyforrest/sub-02/anat/*_T1w.nii.gz",
    "studyforrest 2 mm": "studyforrest_mini/sub-02/anat/*_T1w.nii.gz",
    "ds002748 sub-60": "ds002748_T1_dev/sub-60/anat/*_T1w.nii.gz",
    "coreg_qa": "coreg_qa/highres.nii.gz",
}
LEFT_OUT = ("brainstem", "ventricle4", "hippocampus_anterior", "mpfc_acc", "whole_brain")
FIELD_MM, SMOOTH_MM = 4.0, 5.0
POSE_MM, POSE_DEG, NOISE_SHARE = 3.0, 3.0, 0.01
MASK_LEVEL = "draft"
VARIANTS = ("turned", "larger voxels", "mirrored")
MIRROR = "mirror"
RECIPES = ("antsRegistrationSyN[s]", "antsRegistrationSyNQuick[s]", "antsRegistrationSyNQuickRepro[s]")
WITHIN: dict[str, Sequence[Round]] = {"fine": ROUNDS, "coarse": COARSE_ROUNDS, "no": ()}
Volumes = dict[str, list[float]]


@dataclass(frozen=True, kw_only=True)
class Scanned:
    """An image file, and the volumes that are true of it (None: those of the first one times ``jacobian``)."""

    path: Path
    loss: float
    scan: str
    field: np.ndarray | None = None
    field_grid: Grid | None = None
    truth: dict[str, list[float]] | None = None


def label_regions() -> dict[tuple[str, ...], Region]:
    regions = read_regions(workflow_folder() / "config" / "rois.tsv")
    return {key: one for key, one in regions.items() if one.kind == "label" and key[0] not in LEFT_OUT}


def simulated(number: int, losses: list[float], *, seed: int, folder: Path, voxel_mm: float) -> Iterator[Scanned]:
    """Write the scans of a simulated head; the true change (%) of every label goes with each."""
    settings, visit = AnatomySettings(), Visit(person(number, seed=seed, effect=0.0), 1, seed)
    for order, loss in enumerate([0.0, *losses]):
        truth = phantom_changes(visit, loss, settings) if order else None
        now = Visit(visit.person, order + 1, seed)
        made = head(now, loss=loss, voxel_mm=voxel_mm, look="whole", settings=settings)
        path = folder / f"sub-{number}_ses-{order}_T1w.nii.gz"
        write_nifti(path, nifti(made.image * 10, made.grid, dtype=np.int16))
        yield Scanned(path=path, loss=loss, scan="first" if order == 0 else "again", truth=truth)


def phantom_changes(visit: Visit, loss: float, settings: AnatomySettings) -> dict[str, list[float]]:
    """Return the true change (%) of every label of the phantom and of the gray matter in it."""
    keys = [(roi, hemi) for roi, hemi in label_regions()]
    before, after = (true_volumes(visit, loss=k, settings=settings, keys=keys) for k in (0.0, loss))
    return {"_".join(key): [100 * (b / a - 1) for a, b in zip(before[key], after[key], strict=True)] for key in before}


def real(path: Path, losses: list[float], *, labels: np.ndarray, seed: int, folder: Path) -> Iterator[Scanned]:
    """Write the scans of a real head: as it is, and deformed, turned and with more noise per loss."""
    image = load_image(path)
    yield Scanned(path=path, loss=0.0, scan="first")
    affine = np.asarray(image.affine, dtype=float)
    white = np.quantile(image.data[image.data > 0], 0.95)
    coefficients = ndimage.spline_filter(image.data.astype(np.float32), order=3, output=np.float32)
    for order, loss in enumerate(losses, start=1):
        rng = np.random.default_rng([seed, order])
        grid, displacement, determinant = planted_field(labels, affine, loss=loss)
        pose = rigid_affine(np.concatenate([rng.normal(0, POSE_MM, 3), rng.normal(0, np.deg2rad(POSE_DEG), 3)]))
        turned = about(pose, centre=(affine @ [*(np.array(image.data.shape) / 2), 1])[:3])
        made = np.empty(image.data.shape, dtype=np.float32)
        for plane in range(made.shape[0]):
            index = np.indices((1, *made.shape[1:])).reshape(3, -1) + np.array([[plane], [0], [0]])
            points = turned[:3, :3] @ (affine[:3, :3] @ index + affine[:3, 3:]) + turned[:3, 3:]
            at = (points - grid.affine[:3, 3:]) / grid.voxel_mm
            points = points + np.stack([ndimage.map_coordinates(part, at, order=1) for part in displacement])
            inverse = np.linalg.inv(affine)
            voxels = inverse[:3, :3] @ points + inverse[:3, 3:]
            plane_values = ndimage.map_coordinates(coefficients, voxels, order=3, prefilter=False)
            made[plane] = plane_values.reshape(made.shape[1:])
        noise = rng.normal(0, NOISE_SHARE * white, made.shape)
        made = np.where(made > 0.01 * white, np.maximum(made + noise, 1e-3 * white), 0).astype(np.float32)
        out = folder / f"{path.name.partition('.')[0]}_{order}_T1w.nii.gz"
        write_nifti(out, plain(made, affine))
        yield Scanned(path=out, loss=loss, scan="again", field=determinant, field_grid=grid)


def plain(values: np.ndarray, affine: np.ndarray) -> Any:
    import nibabel as nib

    image = nib.Nifti1Image(values, affine)
    image.set_sform(affine, code=1)
    return image


def about(rigid: np.ndarray, *, centre: np.ndarray) -> np.ndarray:
    there, back = np.eye(4), np.eye(4)
    there[:3, 3], back[:3, 3] = centre, -centre
    return there @ rigid @ back


def planted_field(labels: np.ndarray, affine: np.ndarray, *, loss: float) -> tuple[Grid, np.ndarray, np.ndarray]:
    """Return a 4-mm grid, the displacement (mm) that pulls the changed image from the first, and the Jacobian there.

    The determinant is that of the map from the first head to the changed one.
    """
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in labels.shape])).reshape(3, -1).T
    points = corners @ affine[:3, :3].T + affine[:3, 3]
    low, high = points.min(axis=0), points.max(axis=0)
    shape = tuple(int(n) for n in np.ceil((high - low) / FIELD_MM) + 1)
    matrix = np.diag([FIELD_MM] * 3 + [1.0])
    matrix[:3, 3] = low
    grid = Grid(matrix, (shape[0], shape[1], shape[2]))
    native = np.linalg.norm(affine[:3, :3], axis=0)
    smooth = ndimage.gaussian_filter(labels, FIELD_MM / np.sqrt(12) / native)
    inverse = np.linalg.inv(affine)
    at = inverse[:3, :3] @ grid.points().T + inverse[:3, 3:]
    share = ndimage.map_coordinates(smooth, at, order=1).reshape(shape)
    bump = ndimage.gaussian_filter(share, SMOOTH_MM / FIELD_MM)
    bump *= share.sum() / (share * bump).sum()
    velocity = np.float32(np.log1p(-loss / 100)) * divergence_velocity(bump, voxel_mm=FIELD_MM)
    forward = exponential(velocity, voxel_mm=FIELD_MM)
    return grid, exponential(-velocity, voxel_mm=FIELD_MM), jacobian(forward, voxel_mm=FIELD_MM)


def volumes(anatomy: Anatomy, weights: dict[tuple[str, ...], NativeRegion]) -> Volumes:
    """Return the label volume and the gray matter in it (mL) of every region."""
    voxel_ml = float(np.prod(anatomy.mask.spacing)) / 1000
    gray, found = anatomy.tissues["GM"].numpy(), {}
    for key, region in weights.items():
        whole = place(np.zeros(gray.shape, dtype=np.float32), region.weights, start=region.start)
        label, tissue = float(region.weights.sum(dtype=float)), float((whole * gray).sum(dtype=float))
        found["_".join(key)] = [label * voxel_ml, tissue * voxel_ml]
    return found


def totals(anatomy: Anatomy) -> dict[str, float]:
    """Return the volume (mL) of the brain mask and of the gray matter."""
    return {"tiv": anatomy.quality["brain_ml"], "gm_total": anatomy.quality["GM_ml"]}


def native(anatomy: Anatomy) -> tuple[ImageGrid, dict[tuple[str, ...], NativeRegion]]:
    """Return the grid of the image and the labels on it, fused with those of its mirror image if it has one."""
    grid = ImageGrid(affine=grid_affine(anatomy.t1w), shape=anatomy.t1w.shape)
    own = native_regions(label_regions(), anatomy.from_template, grid=grid)
    if anatomy.from_template_mirrored is None:
        return grid, own
    other = mirrored_regions(label_regions(), anatomy.from_template_mirrored, grid=grid)
    return grid, {key: fused(region, other[key]) for key, region in own.items()}


def true_changes(
    scan: Scanned, grid: ImageGrid, weights: dict[tuple[str, ...], NativeRegion], gray: np.ndarray
) -> dict[str, list[float]]:
    """Return the change (%) of every label and of its gray matter: those of the phantom, or of what was first found."""
    if scan.truth is not None:
        return scan.truth
    if scan.field is None:
        return {"_".join(key): [0.0, 0.0] for key in weights}
    found = {}
    for key, region in weights.items():
        index = np.argwhere(region.weights > 0)
        points = (index + np.array(region.start)) @ grid.affine[:3, :3].T + grid.affine[:3, 3]
        at = (points - scan.field_grid.affine[:3, 3]) / scan.field_grid.voxel_mm
        share = region.weights[tuple(index.T)]
        ratio = ndimage.map_coordinates(scan.field, at.T, order=1)
        inside = np.clip(index + np.array(region.start), 0, np.array(gray.shape) - 1)
        tissue = share * gray[tuple(inside.T)]
        found["_".join(key)] = [100 * (float((ratio * w).sum() / w.sum()) - 1) for w in (share, tissue)]
    return found


def processed(scan: Scanned, level_name: str) -> tuple[Anatomy, float]:
    """Process a scan; ``level_name`` is a level, or a level and ``mirror`` or a recipe of ANTs with a comma between."""
    name, _, more = level_name.partition(", ")
    mirror = more == MIRROR
    recipe = "" if mirror else more
    register = by_recipe(recipe) if recipe else normalise
    start = time.process_time()
    changed = {"normalise": register} | ({"segment": only_priors, "check_anatomy": mock.Mock()} if recipe else {})
    with mock.patch.multiple(anatomical, **changed):
        return segment_anatomy(scan.path, level=level_of(name), mirror=mirror), time.process_time() - start


def only_priors(brain: Any, *, mask: Any, target: Any, transform: Path, **_: Any) -> dict[str, Any]:
    """Stand for the segmentation, which labels do not need: the priors of the template, which no gate believes."""
    priors = anatomical.native_priors(brain, target=target, transform=transform)
    return {tissue: on_grid(found.numpy() * mask.numpy(), brain) for tissue, found in priors.items()}


def by_recipe(recipe: str) -> Callable[..., tuple[Path, Path]]:
    """Return what registers a brain to the template by a recipe of ANTs, in the place of ``normalise``."""

    def register(brain: Any, *, target: Any, level: Any) -> tuple[Path, Path]:
        import ants

        moving = coarsened(brain, level.template_mm)
        found = ants.registration(
            fixed=target.brain, moving=moving, type_of_transform=recipe, write_composite_transform=True
        )
        return Path(found["fwdtransforms"]), Path(found["invtransforms"])

    return register


def as_session(scan: Scanned, mask: Any) -> Any:
    import ants

    image = working_head(scan.path, 1.0).image
    return session(image, ants.resample_image_to_target(mask, image, interp_type="nearestNeighbor"))


def pair(
    first: Any, second: Any, rounds: Sequence[Round], first_labels: dict[tuple[str, ...], NativeRegion] | None = None
) -> tuple[dict[str, list[float]], float]:
    """Return change (%) and its scatter for every label between two sessions, and the CPU seconds.

    ``first_labels`` are those of the first image, on its grid; without them the mean of the two is brought to the
    template.
    """
    start = time.process_time()
    within = within_person(first, second, rounds=rounds)
    if first_labels is None:
        level = level_of("draft")
        _, from_template = normalise(mean_brain(within), target=template(level.template_mm), level=level)
        labels = middle_regions(within, label_regions(), transform=from_template)
    else:
        labels = {}
        to_voxel = np.linalg.inv(first.affine) @ within.to_first @ within.affine
        for key, region in first_labels.items():
            offset = to_voxel[:3, 3] - np.array(region.start)
            labels[key] = ndimage.affine_transform(
                region.weights, to_voxel[:3, :3], offset, output_shape=within.middle.shape, order=1
            )
    changes = label_changes(within, labels)
    found = {"_".join(key): [one.percent, one.scatter] for key, one in changes.items()}
    return found, time.process_time() - start


def within_study(scans: Iterator[Scanned], *, about_head: dict[str, Any], rounds: Sequence[Round]) -> Iterator[dict]:
    """Compare the scans of one head with the first within the person only; the masks are those of the draft level."""
    import ants

    level = level_of(MASK_LEVEL)
    first = next(scans)
    with ants_session():
        anatomy, seconds = processed(first, MASK_LEVEL)
        start = as_session(first, anatomy.mask)
        grid = ImageGrid(affine=start.affine, shape=start.values.shape)
        weights = native_regions(label_regions(), anatomy.from_template, grid=grid)
        gray = ants.resample_image_to_target(anatomy.tissues["GM"], working_head(first.path, 1.0).image).numpy()
        for scan in scans:
            with ants_session():
                found = working_head(scan.path, level.anat_mm)
                mask, _ = extract_brain(found, target=template(level.extraction_mm, priors=False), level=level)
                entry = {**about_head, "level": "within", "scan": scan.scan, "loss": scan.loss, "cpu_s": seconds}
                entry |= {"truth": true_changes(scan, grid, weights, gray), "within_mm": rounds[-1].voxel_mm}
                entry["within"], entry["within_cpu_s"] = pair(start, as_session(scan, mask), rounds, weights)
            yield entry


def study(
    scans: Iterator[Scanned], level_name: str, *, about_head: dict[str, Any], rounds: Sequence[Round]
) -> Iterator[dict]:
    """Process the scans of one head; yield one entry per scan after the first."""
    first = next(scans)
    with ants_session():
        anatomy, seconds = processed(first, level_name)
        grid, weights = native(anatomy)
        before, whole = volumes(anatomy, weights), totals(anatomy)
        start = as_session(first, anatomy.mask)
        yield {**about_head, "level": level_name, "scan": "first", "volumes": before, "cpu_s": seconds}
        for scan in scans:
            with ants_session():
                now, seconds = processed(scan, level_name)
                after = volumes(now, native(now)[1])
                entry = {**about_head, "level": level_name, "scan": scan.scan, "loss": scan.loss, "cpu_s": seconds}
                entry |= {
                    "volumes": after,
                    "before": before,
                    "totals": {"before": whole, "after": totals(now)},
                    "truth": true_changes(scan, grid, weights, anatomy.tissues["GM"].numpy()),
                }
                if rounds:
                    entry["within_mm"] = rounds[-1].voxel_mm
                    entry["within"], entry["within_cpu_s"] = pair(start, as_session(scan, now.mask), rounds)
            yield entry


def planted_labels(path: Path) -> np.ndarray:
    """Return the planted labels on the grid of a real image, found at the draft level."""
    image = load_image(path)
    with ants_session():
        anatomy = segment_anatomy(path, level=level_of(MASK_LEVEL))
        wanted = {key: one for key, one in label_regions().items() if key in PLANTED}
        grid = ImageGrid(affine=np.asarray(image.affine), shape=image.data.shape)
        found = native_regions(wanted, anatomy.from_template, grid=grid)
    whole = np.zeros(image.data.shape, dtype=np.float32)
    for region in found.values():
        whole += place(np.zeros(image.data.shape, dtype=np.float32), region.weights, start=region.start)
    return np.minimum(whole, 1)


def add(out: Path, entry: dict[str, Any]) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    entries = json.loads(out.read_text()) if out.is_file() else []
    out.write_text(json.dumps([*entries, entry], indent=None, separators=(",", ":")) + "\n")
    print(entry["head"], entry["level"], entry.get("loss"), f"{entry['cpu_s']:.0f} s", flush=True)


def variants(path: Path, folder: Path, *, names: Sequence[str] = VARIANTS) -> Iterator[tuple[str, Path]]:
    """Write one image with its axes in another order and direction, on larger voxels, and mirrored."""
    import nibabel as nib
    import nibabel.processing

    image = nib.load(path)
    values, affine = np.asarray(image.dataobj, dtype=np.float32), np.asarray(image.affine)
    turned = np.ascontiguousarray(values.transpose(2, 0, 1)[:, ::-1])
    order = np.zeros((4, 4))
    order[[0, 1, 2, 3], [1, 2, 0, 3]] = 1
    flip = np.diag([1.0, -1.0, 1.0, 1.0])
    flip[1, 3] = turned.shape[1] - 1
    larger = [1.25 * size for size in np.linalg.norm(affine[:3, :3], axis=0)]
    coarse = nib.processing.resample_to_output(nib.Nifti1Image(values, affine), larger, order=3)
    mirror = np.diag([-1.0, 1.0, 1.0, 1.0])
    for name, array, matrix in (
        ("turned", turned, affine @ order @ flip),
        ("larger voxels", np.maximum(coarse.get_fdata(dtype=np.float32), 0), coarse.affine),
        ("mirrored", values[::-1].copy(), mirror @ affine @ reversal(values.shape[0])),
    ):
        if name not in names:
            continue
        out = folder / f"{name.replace(' ', '-')}_T1w.nii.gz"
        write_nifti(out, plain(array, matrix))
        yield name, out


def reversal(size: int) -> np.ndarray:
    """Return the affine from the voxels of a first axis read backwards to those of the axis."""
    matrix = np.diag([-1.0, 1.0, 1.0, 1.0])
    matrix[0, 3] = size - 1
    return matrix


def invariances(
    path: Path, level_name: str, *, names: Sequence[str], facts: dict[str, Any], folder: Path
) -> Iterator[dict]:
    """Process an image and its variants; yield the volumes of each (mL), left and right exchanged if mirrored."""
    for name, image in (("first", path), *variants(path, folder, names=names)):
        with ants_session():
            anatomy, seconds = processed(Scanned(path=image, loss=0.0, scan=name), level_name)
            found = volumes(anatomy, native(anatomy)[1])
            sides = {"L": "R", "R": "L"} if name == "mirrored" else {}
            swapped = {}
            for where, values in found.items():
                roi, _, hemi = where.rpartition("_")
                swapped[f"{roi}_{sides.get(hemi, hemi)}"] = values
            swapped |= {name: [number] * 2 for name, number in totals(anatomy).items()}
        yield {**facts, "level": level_name, "variant": name, "volumes": swapped, "cpu_s": seconds}


def compare(scans: Iterator[Scanned], given: argparse.Namespace, facts: dict[str, Any]) -> None:
    rounds = WITHIN[given.within]
    if given.level == "within":
        found = within_study(scans, about_head=facts, rounds=rounds)
    else:
        name = ", ".join(filter(None, (given.level, given.registration, MIRROR if given.mirror else "")))
        found = study(scans, name, about_head=facts, rounds=rounds)
    for entry in found:
        add(given.out, entry)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--level", default="draft", help="or `within`: no image is processed by itself")
    parser.add_argument("--simulated", type=int, nargs="*", default=[], metavar="NUMBER", help="numbers of heads")
    parser.add_argument("--real", nargs="*", default=[], choices=REAL)
    parser.add_argument("--losses", type=float, nargs="+", default=[0.0, 10.0])
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--mm", type=float, default=1.0, help="voxels of the simulated heads (1)")
    parser.add_argument("--within", choices=WITHIN, default="fine", help="grid of the registration within persons")
    instead = parser.add_mutually_exclusive_group()
    instead.add_argument("--registration", choices=RECIPES, help="of ANTs, in the place of that of the level")
    instead.add_argument("--mirror", action="store_true", help="fuse the labels with those of the mirror image")
    parser.add_argument(
        "--variants", nargs="*", choices=VARIANTS, help="turned, resampled and mirrored images, not changes (all)"
    )
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "atrophy-heads.json")
    parser.add_argument("--page", action="store_true")
    given = parser.parse_args()
    if given.page:
        atrophy_page.write(given.out, root=ROOT)
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        if given.variants is not None:
            for name in given.real:
                path, facts = next(SHARED.glob(REAL[name])), {"head": name, "kind": "real"}
                names = given.variants or VARIANTS
                for entry in invariances(path, given.level, names=names, facts=facts, folder=folder):
                    add(given.out, entry)
            return
        for number in given.simulated:
            scans = simulated(number, given.losses, seed=given.seed, folder=folder, voxel_mm=given.mm)
            facts = {"head": f"simulated {number}", "kind": "simulated"}
            compare(scans, given, facts)
        for name in given.real:
            path = next(SHARED.glob(REAL[name]))
            scans = real(path, given.losses, labels=planted_labels(path), seed=given.seed, folder=folder)
            compare(scans, given, {"head": name, "kind": "real"})


if __name__ == "__main__":
    main()
