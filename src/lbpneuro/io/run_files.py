"""The files of a BOLD run, told apart by their BIDS names."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from lbpneuro.errors import InputError
from lbpneuro.io.index import entities
from lbpneuro.io.series import missing_file

NOT_OF_THE_RUN = ("sub", "ses", "space", "res", "den", "desc", "label", "recording", "datatype", "suffix", "ext")
NATIVE = "T1w"
MNI = "MNI152NLin2009cAsym"
log = logging.getLogger("lbpneuro")

Named = Sequence[tuple[Path, Mapping[str, str]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFiles:
    """The files of one run.

    Attributes
    ----------
    bold, mask, confounds
        Preprocessed series, brain mask on its grid, confounds table.
    csf, gray
        Probability maps of CSF and gray matter in the space of the run, if there are such.
    tissues
        Tissue probability maps by label (GM, WM, CSF) in template space: that of the run, or for a run in native space
        MNI152NLin2009cAsym.
    transform
        For a run in native space, the transform from MNI152NLin2009cAsym to T1w.
    physio
        Physiological recordings of the run.
    acquired
        Sidecars of its raw images, the nearest first.
    """

    bold: Path
    mask: Path
    confounds: Path
    csf: Path | None = None
    gray: Path | None = None
    tissues: Mapping[str, Path] = field(default_factory=dict)
    transform: Path | None = None
    physio: tuple[Path, ...] = ()
    acquired: tuple[Path, ...] = ()

    @property
    def entities(self) -> dict[str, str]:
        """The entities that tell this run from the others of its session, in BIDS order."""
        return run_entities(self.bold)

    @property
    def space(self) -> str:
        """Space of the series; fMRIPrep leaves the name out for nothing that is read here."""
        return entities(self.bold).get("space", MNI)

    @property
    def name(self) -> str:
        """``task-rest_run-1``."""
        return "_".join(f"{key}-{value}" for key, value in self.entities.items())


def run_entities(path: Path) -> dict[str, str]:
    """Return the entities of a file that name its run: task, acquisition, run number, echo ..."""
    return {key: value for key, value in entities(path).items() if key not in NOT_OF_THE_RUN}


def group_runs(files: Sequence[Path]) -> list[RunFiles]:
    """Return the runs among the files of a session, each with what belongs to it, sorted by name.

    Raises
    ------
    InputError
        If a run lacks its brain mask, its confounds or, in native space, its way to the template (reason
        ``file_missing``), the series are single echoes, or no file is a preprocessed BOLD series.
    """
    every = [(path, entities(path)) for path in sorted(files)]
    named = [(path, name) for path, name in every if name.get("ext") != ".json"]
    sidecars = [(path, name) for path, name in every if name.get("ext") == ".json" and name.get("suffix") == "bold"]
    bold = [(path, name) for path, name in named if name.get("suffix") == "bold"]
    preprocessed = [(path, name) for path, name in bold if name.get("desc") == "preproc"]
    runs = [path for path, name in preprocessed if "echo" not in name]
    echoes = [path.name for path, name in (preprocessed or bold) if "echo" in name]
    if echoes and not runs:
        raise InputError(
            f"{echoes[0]}: this is a single echo, and no combined series of its run is there; run fMRIPrep, which "
            "combines the echoes (its `--me-output-echos` adds the single ones), or combine them with tedana and name "
            "the result as fMRIPrep does, without the entity echo."
        )
    for name in echoes:
        log.warning("%s: left out, a single echo without the combined series of its run.", name)
    if not runs:
        raise InputError(
            f"No preprocessed BOLD series (desc-preproc_bold) among {', '.join(path.name for path, _ in named)}."
        )
    return [replace(_companions(path, named), acquired=_acquired(path, sidecars)) for path in runs]


def _acquired(bold: Path, sidecars: Named) -> tuple[Path, ...]:
    """Return the sidecars of the raw images of a run, those with the most entities first."""
    own = entities(bold).items()
    inherited = [(path, name) for path, name in sidecars if run_entities(path).items() <= own]
    return tuple(path for path, name in sorted(inherited, key=lambda each: len(each[1]), reverse=True))


def _companions(bold: Path, named: Named) -> RunFiles:
    """Return the files that belong to a BOLD series."""
    own, run = entities(bold), run_entities(bold)
    same_run = [(path, name) for path, name in named if run_entities(path) == run]
    grid = [(path, name) for path, name in same_run if all(name.get(key) == own.get(key) for key in ("space", "res"))]
    masks = [path for path, name in grid if name.get("suffix") == "mask" and name.get("desc") == "brain"]
    tables = [path for path, name in same_run if name.get("desc") == "confounds" and name.get("ext") == ".tsv"]
    if not masks:
        raise missing_file(bold, role="brain mask on its own grid (desc-brain_mask)")
    if not tables:
        raise missing_file(bold, role="confounds table (desc-confounds_timeseries.tsv)")
    native = own.get("space") == NATIVE
    ways = [path for path, name in named if name.get("suffix") == "xfm" and f"_from-{MNI}_to-{NATIVE}_" in path.name]
    if native and not ways:
        raise missing_file(bold, role=f"way to the template (from-{MNI}_to-{NATIVE}_mode-image_xfm.h5)")
    own_tissues = _tissues(named, spaces=(None, NATIVE) if native else (own.get("space"),))
    return RunFiles(
        bold=bold,
        mask=masks[0],
        confounds=tables[0],
        csf=own_tissues.get("CSF"),
        gray=own_tissues.get("GM"),
        tissues=_tissues(named, spaces=(MNI,)) if native else own_tissues,
        transform=ways[0] if native else None,
        physio=tuple(path for path, name in same_run if name.get("suffix") == "physio"),
    )


def _tissues(named: Named, *, spaces: Sequence[str | None]) -> dict[str, Path]:
    """Return the tissue probability maps in one of some spaces, by label; the first of each."""
    maps: dict[str, Path] = {}
    for path, name in named:
        plain = name.get("suffix") == "probseg" and "desc" not in name  # a modulated map has one
        if plain and name.get("space") in spaces and "label" in name:
            maps.setdefault(name["label"], path)
    return maps
