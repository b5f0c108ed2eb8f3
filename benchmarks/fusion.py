"""What labels gain when those of an image and of its mirror image, or of two templates, are averaged.

``python -m benchmarks.fusion --level draft --simulated 2 3 --out FILE`` registers every scan of a simulated head
(first, rescan, 10 % lost) and its mirror image (x -> -x) to the template, from the true brain mask and without
segmentation, as labels need neither; ``--symmetric`` to MNI152NLin2009aSym, whose labels come by one registration of
the two templates. ``--table FILE`` prints what the file holds. A mean of label weights has the mean of their volumes,
so that everything is computed from volumes.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.atrophy import label_regions, phantom_changes, plain, reversal
from lbpneuro.io.anatomy import native_regions
from lbpneuro.io.composites import read_composite, write_composite
from lbpneuro.io.files import write_nifti
from lbpneuro.io.images import Grid, load_image
from lbpneuro.io.transforms import itk_image
from lbpneuro.preprocess.anatomical import MARGIN_MM, WHITE_LEVEL, brain_unbiased, normalise, scaled
from lbpneuro.preprocess.extraction import on_spacing, working_head
from lbpneuro.preprocess.itk import ants_session, box_around, cropped, grid_affine, on_grid
from lbpneuro.preprocess.levels import level as level_of
from lbpneuro.preprocess.prior_warp import symmetric_brain
from lbpneuro.preprocess.templates import Template, template
from lbpneuro.simulate.anatomy import AnatomySettings
from lbpneuro.simulate.heads import PLANTED, head
from lbpneuro.simulate.people import Visit, person

SCANS = {"first": 0.0, "rescan": 0.0, "loss": 10.0}
MIRROR = np.diag([-1.0, 1.0, 1.0, 1.0])
SIDES = {"L": "R", "R": "L"}
INTACT_BELOW = 0.5
Volumes = dict[str, float]


def scans(number: int, *, seed: int, folder: Path, voxel_mm: float) -> Iterator[tuple[str, bool, Path, Path]]:
    """Write the scans of a head with their true masks, each as it is and mirrored."""
    visit, settings = Visit(person(number, seed=seed, effect=0.0), 1, seed), AnatomySettings()
    for order, (scan, loss) in enumerate(SCANS.items()):
        made = head(Visit(visit.person, order + 1, seed), loss=loss, voxel_mm=voxel_mm, look="whole", settings=settings)
        for mirrored in (False, True):
            paths = []
            for name, values in (("T1w", made.image * 10), ("mask", made.brain)):
                array, affine = values, made.grid.affine
                if mirrored:
                    array, affine = values[::-1].copy(), MIRROR @ affine @ reversal(values.shape[0])
                paths.append(folder / f"{scan}_{'mirrored' if mirrored else 'own'}_{name}.nii.gz")
                write_nifti(paths[-1], plain(array.astype(np.float32), affine))
            yield scan, mirrored, paths[0], paths[1]


def brain_of(image: Path, mask: Path, *, level: Any) -> Any:
    """Return the brain of a head as the embedded path registers it, from a mask that is given."""
    whole = working_head(image, level.anat_mm).image
    share = load_image(mask)
    inside = itk_image(*on_spacing(share.data, share.affine, level.anat_mm))
    inside = on_grid(inside.numpy() > 0.5, whole)
    t1w = scaled(brain_unbiased(whole, mask=inside, level=level), mask=inside)
    box = box_around(inside, margin=round(MARGIN_MM / min(inside.spacing)))
    part = cropped(inside, box)
    return on_grid(np.clip(cropped(t1w, box).numpy(), 0.0, 1.2 * WHITE_LEVEL) * part.numpy(), part)


def label_volumes(brain: Any, from_template: Path) -> Volumes:
    """Return the volume (mL) of every label."""
    grid = Grid(affine=grid_affine(brain), shape=brain.shape)
    voxel_ml = float(np.prod(brain.spacing)) / 1000
    weights = native_regions(label_regions(), from_template, grid=grid)
    return {"_".join(key): float(region.weights.sum(dtype=float)) * voxel_ml for key, region in weights.items()}


def symmetric_target(level: Any, folder: Path) -> tuple[Template, Path]:
    """Return MNI152NLin2009aSym around its brain, and the transform of its points to the template of the labels."""
    import ants

    fixed = template(level.template_mm)
    whole = symmetric_brain(fixed, level.template_mm)
    held = np.argwhere(whole.numpy() > 0)
    margin = int(np.ceil(14 / level.template_mm))
    low = np.maximum(held.min(axis=0) - margin, 0).tolist()
    high = np.minimum(held.max(axis=0) + margin + 1, whole.shape).tolist()
    found = ants.registration(
        fixed=fixed.brain,
        moving=whole,
        type_of_transform="SyNOnly",
        mask=ants.iMath(fixed.mask, "MD", max(1, 4 // level.template_mm)),
        syn_metric="CC",
        syn_sampling=2,
        reg_iterations=(100, 70, 50, 20),
        write_composite_transform=True,
    )
    way = folder / "sym_to_asym.h5"
    write_composite(way, read_composite(Path(found["invtransforms"])))
    return replace(fixed, brain=ants.crop_indices(whole, low, high)), way


def chained(first: Path, then: Path, out: Path) -> Path:
    """Write the transform that moves a point by ``first`` and then by ``then``."""
    write_composite(out, [*read_composite(then), *read_composite(first)])
    return out


def measured(number: int, given: argparse.Namespace, folder: Path) -> Iterator[dict[str, Any]]:
    level = level_of(given.level)
    way: tuple[Template, Path] | None = None
    if given.symmetric:
        with ants_session():
            way = symmetric_target(level, folder)
    for scan, mirrored, image, mask in scans(number, seed=given.seed, folder=folder, voxel_mm=1.0):
        with ants_session() as temporary:
            brain = brain_of(image, mask, level=level)
            entry = {"head": number, "level": level.name, "scan": scan, "mirrored": mirrored}
            if not given.symmetric:
                start = time.process_time()
                _, from_template = normalise(brain, target=template(level.template_mm), level=level)
                yield entry | {
                    "template": "asymmetric",
                    "volumes": label_volumes(brain, from_template),
                    "cpu_s": time.process_time() - start,
                }
            if way:
                start = time.process_time()
                _, from_symmetric = normalise(brain, target=way[0], level=level)
                path = chained(from_symmetric, way[1], temporary / "chained.h5")
                yield entry | {
                    "template": "symmetric",
                    "volumes": label_volumes(brain, path),
                    "cpu_s": time.process_time() - start,
                }


def swapped(volumes: Volumes) -> Volumes:
    """Return volumes with left and right exchanged."""
    parts = {name: name.rpartition("_") for name in volumes}
    return {f"{roi}_{SIDES.get(hemi, hemi)}": volumes[name] for name, (roi, _, hemi) in parts.items()}


def mean(*several: Volumes) -> Volumes:
    return {name: float(np.mean([volumes[name] for volumes in several])) for name in several[0]}


Run = Callable[[str, bool, str], Volumes]  # scan, mirrored, template


def ways(run: Run, templates: list[str]) -> dict[str, Callable[[str, bool], Volumes]]:
    """Return every way of measuring a scan (or its mirror image)."""
    found: dict[str, Callable[[str, bool], Volumes]] = {}
    for name in templates:
        found[f"{name}, one way"] = lambda scan, turned, name=name: run(scan, turned, name)
        found[f"{name}, one way, of the mirror image"] = lambda scan, turned, name=name: swapped(
            run(scan, not turned, name)
        )
        found[f"{name}, fused with the mirror image"] = lambda scan, turned, name=name: mean(
            run(scan, turned, name), swapped(run(scan, not turned, name))
        )
    if len(templates) > 1:
        found["both templates"] = lambda scan, turned: mean(*(run(scan, turned, name) for name in templates))
        found["both templates, fused with the mirror image"] = lambda scan, turned: mean(
            *(run(scan, turned, name) for name in templates),
            *(swapped(run(scan, not turned, name)) for name in templates),
        )
    return found


def table(entries: list[dict[str, Any]], *, seed: int) -> str:
    """Return a row per head, level and way."""
    columns = ["head", "level", "labels", "DLPFC found", "thalamus found", "intact: largest, rms, over 1 %"]
    columns += ["rescan: rms, largest", "swap: rms, largest"]
    lines = [f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}"]
    for number, level in sorted({(entry["head"], entry["level"]) for entry in entries}):
        own = [entry for entry in entries if (entry["head"], entry["level"]) == (number, level)]
        known = {(entry["scan"], entry["mirrored"], entry["template"]): entry["volumes"] for entry in own}
        templates = [name for name in ("asymmetric", "symmetric") if ("loss", True, name) in known]
        visit = Visit(person(number, seed=seed, effect=0.0), 1, seed)
        truth = {name: true[0] for name, true in phantom_changes(visit, SCANS["loss"], AnatomySettings()).items()}
        for name, way in ways(lambda *key: known[key], templates).items():  # noqa: B023  # used at once
            lines.append(f"| {number} | {level} | {name} | {' | '.join(numbers(way, truth))} |")
    return "\n".join(lines)


def numbers(way: Callable[[str, bool], Volumes], truth: Volumes) -> list[str]:
    before = way("first", False)
    change, again, other = (
        {name: 100 * (value / before[name] - 1) for name, value in volumes.items()}
        for volumes in (way("loss", False), way("rescan", False), swapped(way("first", True)))
    )
    intact = np.array([change[name] - true for name, true in truth.items() if abs(true) < INTACT_BELOW])
    found = [f"{100 * change['_'.join(key)] / truth['_'.join(key)]:.0f} %" for key in PLANTED]
    noise, swap = (np.array([values[name] for name in truth]) for values in (again, other))
    over = np.count_nonzero(np.abs(intact) > 1)
    return [
        *found,
        f"{np.abs(intact).max():.1f}, {rms(intact):.2f}, {over} of {intact.size}",
        f"{rms(noise):.2f}, {np.abs(noise).max():.1f}",
        f"{rms(swap):.2f}, {np.abs(swap).max():.1f}",
    ]


def rms(values: Any) -> float:
    return float(np.sqrt(np.mean(np.square(values))))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--level", default="draft")
    parser.add_argument("--simulated", type=int, nargs="*", default=[2, 3], metavar="NUMBER")
    parser.add_argument("--symmetric", action="store_true", help="to the symmetric template only")
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path("fusion.json"))
    parser.add_argument("--table", type=Path, nargs="*")
    given = parser.parse_args()
    if given.table:
        entries = [entry for path in given.table for entry in json.loads(path.read_text())]
        print(table(entries, seed=given.seed))
        return
    entries = json.loads(given.out.read_text()) if given.out.is_file() else []
    for number in given.simulated:
        with tempfile.TemporaryDirectory() as temporary:
            for entry in measured(number, given, Path(temporary)):
                entries.append(entry)
                given.out.write_text(json.dumps(entries) + "\n")
                print(
                    *(entry[key] for key in ("head", "scan", "mirrored", "template")),
                    f"{entry['cpu_s']:.0f} s",
                    flush=True,
                )


if __name__ == "__main__":
    main()
