"""Names in the settings that must exist: confound strategies and regions, looked up before anything is computed."""

from __future__ import annotations

import csv
import difflib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from lbpneuro.errors import ConfigError, InputError
from lbpneuro.io.confounds import STRATEGIES
from lbpneuro.markers.bold import Level, parts_of, region_label
from lbpneuro.markers.scales import score_names

SEITZMAN = "Seitzman300"
MODELS = ("cortical", "brainstem")
SETS = ("pain", "emotion", "reward")
LISTED = 60


def check_names(config: Mapping[str, Any]) -> None:
    """Raise ConfigError if the settings name a confound strategy or a region that there is not, or reuse a name.

    All mistakes are named at once, each with its key and what is known.

    Parameters
    ----------
    config
        All settings, with the path of the table of regions resolved.
    """
    problems = [
        *_strategy_problems(config),
        *_region_problems(config),
        *_file_problems(config["functional"]),
        *_score_problems(config["scales"]["sem"]),
    ]
    if problems:
        raise ConfigError("\n".join(problems))


def _strategy_problems(config: Mapping[str, Any]) -> Iterator[str]:
    functional = config["functional"]
    known = [*STRATEGIES, *functional["confounds_custom"]]
    named = {f"functional.{key}.{model}": functional[key][model] for key in KEYS for model in MODELS}
    for key, name in {**named, "shift.confounds": config["shift"]["confounds"]}.items():
        if name not in known:
            listed = ", ".join(known)
            yield f"setting `{key}`: there is no confound strategy {name}.{_near(name, known)} Known: {listed}."


KEYS = ("confounds", "confounds_alternative")


def _region_problems(config: Mapping[str, Any]) -> Iterator[str]:
    path = Path(config["functional"]["rois"])
    known = _levels(path)
    labels = sorted({region_label(level) for level in known} | {roi for roi, _ in known})
    for key, names in _region_names(config).items():
        for name in names:
            try:
                parts_of(name, known)
            except InputError:
                yield (
                    f"setting `{key}`: there is no region {name} in {path.name}.{_near(name, labels)} "
                    f"Known: {', '.join(labels[:LISTED])}{' ...' if len(labels) > LISTED else ''}."
                )


def _region_names(config: Mapping[str, Any]) -> dict[str, Sequence[str]]:
    """Return the region names of the settings by their key."""
    functional = config["functional"]
    ends = {
        f"functional.edges.{name}.{end}": edge[end]
        for name, edge in functional["edges"].items()
        for end in ("seed", "target")
    }
    return {
        "functional.seeds": functional["seeds"],
        **ends,
        "dynamic.nodes": config["dynamic"]["nodes"],
        **{f"shift.{name}": config["shift"][name] for name in SETS},
        **{f"pet.regions.{name}": parts for name, parts in config["pet"]["regions"].items()},
        **{f"pet.references.{name}": parts for name, parts in config["pet"]["references"].items()},
    }


def _levels(path: Path) -> list[Level]:
    """Return (roi, hemi) of every row of the table of regions, without loading what reads it in full."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            rows = list(csv.DictReader(stream, delimiter="\t"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"setting `functional.rois`: {path} cannot be read ({error}).") from error
    if not rows or not {"roi", "hemi"} <= set(rows[0]):
        raise ConfigError(f"setting `functional.rois`: {path} is no table of regions with the columns roi and hemi.")
    return list(dict.fromkeys((row["roi"], row["hemi"]) for row in rows))


def _file_problems(functional: Mapping[str, Any]) -> Iterator[str]:
    if SEITZMAN in functional["atlases"]:
        yield f"setting `functional.atlases`: the name {SEITZMAN} is that of the built-in nodes; choose another."
    way = functional["template_transform"]
    if way and not Path(way).is_file():
        yield f"setting `functional.template_transform`: there is no file {way}; check the path."


def _score_problems(sem: Mapping[str, float]) -> Iterator[str]:
    known = score_names()
    for name in sem:
        if name not in known:
            yield f"setting `scales.sem`: there is no score {name}.{_near(name, known)} Known: {', '.join(known)}."


def _near(name: str, known: Sequence[str]) -> str:
    found = difflib.get_close_matches(name, known, n=1)
    return f" Did you mean {found[0]}?" if found else ""
