"""Summary, page and figure of the recovery of planted changes."""

from __future__ import annotations

import json
from collections import defaultdict
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from lbpneuro.io.config import read_config
from lbpneuro.markers.change import standard_error

PLANTED = ("dlpfc_L", "thalamus_R")
DEEP = ("thalamus", "accumbens", "caudate", "putamen", "pallidum", "hippocampus", "amygdala")
TOTALS = ("tiv", "gm_total")
INTACT_BELOW = 0.5
N_CORES = 2
FINE_MM = 2.0
Z_95 = 1.96
BLOCKS = ("recovery", "rescan", "variants")
Entry = dict[str, Any]
Key = tuple[str, str, str]


def changes(entry: Entry, way: str) -> dict[str, tuple[float, float]]:
    """Return the true and the found change (%) of every region; ``way`` is label, gm or within."""
    found = {}
    for name, true in entry["truth"].items():
        if way == "within":
            now = entry["within"].get(name, [np.nan])[0]
            found[name] = (200 * true[0] / (200 + true[0]), now)
            continue
        column = 0 if way == "label" else 1
        found[name] = (true[column], change(*(entry[at][name][column] for at in ("before", "volumes"))))
    return found


def method(entry: Entry, way: str) -> str:
    """Return what the row is called: the level across people, or the grid of the registration within a person."""
    return entry["level"] if way != "within" else f"within, {entry['within_mm']:g} mm"


def gathered(entries: list[Entry]) -> dict[Key, list[tuple[Entry, dict[str, tuple[float, float]]]]]:
    """Return the compared scans by (kind of head, method, measure)."""
    groups = defaultdict(list)
    for entry in entries:
        for way in ("label", "gm", "within"):
            if way == "gm" and "antsRegistration" in entry["level"]:
                continue  # a recipe in the place of the registration of the level: only labels were measured
            if "truth" in entry and ("within" if way == "within" else "volumes") in entry:
                measure = "label" if way == "within" else way
                groups[entry["kind"], method(entry, way), measure].append((entry, changes(entry, way)))
    return dict(groups)


def summary(entries: list[Entry]) -> dict[str, Any]:
    """Return recovery, intact regions, rescan noise and CPU seconds by kind of head, method and measure."""
    found: dict[str, Any] = {}
    for (kind, way, measure), group in gathered(entries).items():
        lines = [(entry["loss"], name, *pair) for entry, pairs in group for name, pair in pairs.items()]
        row: dict[str, Any] = {"scans": len(group), "heads": len({entry["head"] for entry, _ in group})}
        for name in PLANTED:
            ratios = [now / true for loss, where, true, now in lines if loss and where == name]
            row[f"recovered {name}"] = spread(ratios)
        wanted = [one for one in lines if measure == "label" or one[1].rpartition("_")[0] not in DEEP]
        intact = [now - true for loss, _, true, now in wanted if loss and abs(true) < INTACT_BELOW]
        again = [(where, now) for loss, where, _, now in wanted if not loss]
        row["intact, mean"] = float(np.mean(intact)) if intact else None
        row["intact, median of |x|"] = float(np.median(np.abs(intact))) if intact else None
        row["rescan, median of |x|"] = float(np.median([abs(now) for _, now in again])) if again else None
        row["rescan_cv"] = {roi: cv(values) / 100 for roi, values in by_roi(again).items()}
        row["detected"] = detected([entry for entry, _ in group], "within" if "within" in way else measure)
        if "within" in way:
            row["covered"] = covered([entry for entry, _ in group])
        row["cpu_s"] = float(np.median([e["within_cpu_s" if "within" in way else "cpu_s"] for e, _ in group]))
        found[f"{kind}; {way}; {measure}"] = row
    return found


def covered(entries: list[Entry]) -> float:
    """Return the share of the changes within persons whose 95 % interval holds the true change."""
    held = [
        abs(now - true) <= Z_95 * difference_error(entry, "within", name)
        for entry in entries
        for name, (true, now) in changes(entry, "within").items()
    ]
    return float(np.mean(held))


def detected(entries: list[Entry], way: str) -> dict[str, list[int]]:
    """Return how many planted changes, and how many intact regions, are changed beyond what two scans differ by.

    That is 1.96 times the error of the difference: of the family ``change`` within a person, else root 2 times the
    coefficient of variation that the settings hold for the level. Nothing is counted of a registration that has none.
    """
    found: dict[str, list[int]] = {"planted": [0, 0], "intact": [0, 0]}
    for entry in entries:
        for name, (true, now) in changes(entry, way).items() if entry["loss"] else ():
            kind = "planted" if name in PLANTED else "intact" if abs(true) < INTACT_BELOW else ""
            error = difference_error(entry, way, name)
            if kind and error is not None and not (way == "gm" and is_deep(name)):
                found[kind][0] += abs(now) > Z_95 * error
                found[kind][1] += 1
    return found


@cache
def settings() -> dict[str, Any]:
    """Return the default settings, read once for all regions."""
    return read_config()


def difference_error(entry: Entry, way: str, name: str) -> float | None:
    """Return the standard error (%) of the change of a region between two scans."""
    if way == "within":
        known = settings()["change"]["error"]["draft" if entry["within_mm"] > FINE_MM else "standard"]
        return float(standard_error(*entry["within"][name][:2], known=known))
    level = settings()["structural"]["rescan_cv"].get(f"embedded_{entry['level']}")
    if level is None:
        return None
    one = level.get(name.rpartition("_")[0], level["nucleus" if is_deep(name) else "cortex"])
    return float(100 * np.sqrt(2) * one)


def by_roi(pairs: list[tuple[str, float]]) -> dict[str, list[float]]:
    values = defaultdict(list)
    for where, now in pairs:
        values[where.rpartition("_")[0]].append(now)
    return dict(values)


def spread(ratios: list[float]) -> list[float]:
    """Return mean, SD (NaN of one) and number."""
    if not ratios:
        return []
    return [float(np.mean(ratios)), float(np.std(ratios, ddof=1)) if len(ratios) > 1 else float("nan"), len(ratios)]


def share(numbers: list[float]) -> str:
    if not numbers:
        return ""
    mean, sd, count = numbers
    return f"{mean:.0%}" + (f" (SD {100 * sd:.0f})" if count > 1 and np.isfinite(sd) else "")


def counted(numbers: list[int]) -> str:
    return f"{numbers[0]} of {numbers[1]}" if numbers[1] else ""


def percent(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"


def images_per_hour(cpu_s: float) -> float:
    """Return how many images two cores get through, one process on each."""
    return N_CORES * 3600 / cpu_s


def table(found: dict[str, Any]) -> list[str]:
    head = (
        "heads",
        "method",
        "measure",
        "n",
        "DLPFC found",
        "thalamus found",
        "intact",
        "rescan",
        "in the interval",
        "detected",
        "false",
        "CPU s",
        "images per hour",
    )
    lines = []
    for name, row in found.items():
        kind, way, measure = name.split("; ")
        lines.append(
            (
                kind,
                way,
                {"gm": "gray matter in label"}.get(measure, measure),
                f"{row['heads']} ({row['scans']})",
                share(row["recovered dlpfc_L"]),
                share(row["recovered thalamus_R"]) if measure == "label" else "",
                percent(row["intact, median of |x|"]),
                percent(row["rescan, median of |x|"]),
                f"{row['covered']:.0%}" if "covered" in row else "",
                *(counted(row["detected"][kind]) for kind in ("planted", "intact")),
                f"{row['cpu_s']:.0f}",
                f"{images_per_hour(row['cpu_s']):.0f}",
            )
        )
    return markdown([head, *lines])


def markdown(lines: list[tuple[str, ...]]) -> list[str]:
    """Return a table whose first line is its head."""
    return [f"| {' | '.join(line)} |" for line in (lines[0], ("---",) * len(lines[0]), *lines[1:])]


def figure(found: dict[str, Any], path: Path) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    mpl.rcParams.update({"svg.hashsalt": "lbpneuro", "svg.fonttype": "none"})
    import matplotlib.pyplot as plt

    canvas, axes = plt.subplots(figsize=(6.4, 4), layout="constrained")
    colours = {"dlpfc_L": "#1b6ca8", "thalamus_R": "#c0504d"}
    marks = {"simulated": "o", "real": "s"}
    for name, row in found.items():
        kind, _, measure = name.split("; ")
        for region, colour in colours.items():
            numbers = row[f"recovered {region}"]
            if measure == "label" and numbers:
                axes.plot(row["cpu_s"], 100 * numbers[0], marks[kind], color=colour, markersize=8)
    for x, low, high, words, kind in points_with_words(found):
        y, offset, side = (low, -8, "top") if kind == "real" else (high, 8, "bottom")
        axes.annotate(words, (x, y), xytext=(0, offset), textcoords="offset points", ha="center", va=side, size=7.5)
    for region, colour in colours.items():
        axes.plot([], [], "o", color=colour, label={"dlpfc_L": "DLPFC"}.get(region, "thalamus"))
    axes.plot([], [], "s", color="#777777", label="real head (circles: simulated)")
    axes.axhline(100, color="#777777", linewidth=1, linestyle="--")
    axes.set(xscale="log", xlabel="CPU time (s)", ylabel="planted change found (%)", xlim=(10, 3000), ylim=(50, 120))
    axes.set_xticks([10, 30, 100, 300, 1000, 3000], ["10", "30", "100", "300", "1000", "3000"])
    above = axes.twiny()
    above.set(
        xscale="log", xlabel="images per hour on two cores", xlim=[images_per_hour(edge) for edge in axes.get_xlim()]
    )
    above.set_xticks([10, 30, 100, 300], ["10", "30", "100", "300"])
    above.minorticks_off()
    above.spines["right"].set_visible(False)
    axes.legend(frameon=False, loc="lower left")
    axes.spines["right"].set_visible(False)
    path.parent.mkdir(parents=True, exist_ok=True)
    canvas.savefig(path, metadata={"Date": None})
    plt.close(canvas)


def points_with_words(found: dict[str, Any]) -> list[tuple[float, float, float, str, str]]:
    """Return CPU time, the lesser and the greater share found (%), words and kind of head of every pair of points."""
    points = []
    for name, row in found.items():
        kind, way, measure = name.split("; ")
        shares = [100 * row[f"recovered {region}"][0] for region in PLANTED if row[f"recovered {region}"]]
        if measure == "label" and shares:
            words = way.rpartition("antsRegistration")[2] if "antsRegistration" in way else way
            points.append((row["cpu_s"], min(shares), max(shares), f"{words}\n({kind})", kind))
    return points


def rescan_table(entries: list[Entry]) -> list[str]:
    """Return the coefficients of variation (%) between two scans in which nothing was planted, one by one."""
    groups = defaultdict(list)
    for entry in entries:
        if entry.get("loss") == 0 and "totals" in entry:
            groups[entry["kind"], entry["level"]].append(entry)
    lines = []
    for (kind, level), group in groups.items():
        pairs = [(name, found) for one in group for name, found in measured_changes(one["before"], one["volumes"])]
        whole = {
            name: [change(*(e["totals"][at][name] for at in ("before", "after"))) for e in group] for name in TOTALS
        }
        cells = [cv(whole[name]) for name in TOTALS]
        cells += [cv([found for name, found in pairs if is_deep(name) is deep]) for deep in (False, True)]
        by_region = {roi: cv(values) for roi, values in by_roi(pairs).items()}
        worst = max(by_region, key=lambda roi: by_region[roi])
        heads = len({entry["head"] for entry in group})
        lines.append((kind, level, str(heads), *(f"{cell:.2f}" for cell in cells), f"{worst} {by_region[worst]:.1f}"))
    head = ("heads", "level", "n", "TIV", "gray matter", "cortical regions", "nuclei", "largest region")
    return markdown([head, *lines])


def variants_table(entries: list[Entry]) -> list[str]:
    """Return how far the volumes of one image in another form are from those of the image (%)."""
    first = {(e["head"], e["level"]): e["volumes"] for e in entries if e.get("variant") == "first"}
    lines = []
    for entry in entries:
        if entry.get("variant", "first") == "first":
            continue
        start = first[entry["head"], entry["level"]]
        whole = [change(start[name][0], entry["volumes"][name][0]) for name in TOTALS]
        pairs = measured_changes(start, entry["volumes"])
        parts = [np.abs([found for name, found in pairs if is_deep(name) is deep]) for deep in (False, True)]
        cells = [f"{value:+.1f}" for value in whole] + [f"{np.median(part):.1f}, {part.max():.1f}" for part in parts]
        lines.append((entry["head"], entry["level"], entry["variant"], *cells))
    head = ("image", "level", "variant", "TIV", "gray matter", "cortical regions: median, largest", "nuclei")
    return markdown([head, *lines]) if lines else []


def measured_changes(before: dict[str, list[float]], after: dict[str, list[float]]) -> list[tuple[str, float]]:
    """Return the change (%) of every region as it is measured: nuclei as labels, cortex as gray matter in its label."""
    names = [name for name in before if name not in TOTALS]
    return [(name, change(*(each[name][0 if is_deep(name) else 1] for each in (before, after)))) for name in names]


def change(before: float, after: float) -> float:
    """Return a change in percent."""
    return 100 * (after / before - 1)


def cv(changes: list[float]) -> float:
    """Return the coefficient of variation (%) of a scan by changes (%) between pairs of scans."""
    return float(np.sqrt(np.mean(np.square(changes)) / 2))


def is_deep(name: str) -> bool:
    """Return whether a region is a nucleus."""
    return name.rpartition("_")[0] in DEEP


def write(results: Path, *, root: Path) -> None:
    """Write benchmarks/results/atrophy.json, the figure, and the tables of docs/anatomy.md."""
    entries = json.loads(results.read_text())
    found = summary(entries)
    tidy = json.dumps(rounded(found), indent=1, sort_keys=True)
    (root / "benchmarks" / "results" / "atrophy.json").write_text(tidy + "\n")
    figure(found, root / "docs" / "images" / "atrophy.svg")
    page = root / "docs" / "anatomy.md"
    text = page.read_text()
    for name, lines in zip(BLOCKS, (table(found), rescan_table(entries), variants_table(entries)), strict=True):
        start, end = marks(name)
        before, _, rest = text.partition(start)
        _, _, after = rest.partition(end)
        text = "\n".join([before + start, "", *lines, "", end]) + after
    page.write_text(text)


def marks(name: str) -> tuple[str, str]:
    """Return what stands before and after a table in the page."""
    return f"<!-- {name}: written by python -m benchmarks.atrophy --page -->", f"<!-- /{name} -->"


def rounded(value: Any) -> Any:
    """Return results with four digits; what is not known is null."""
    if isinstance(value, dict):
        return {key: rounded(one) for key, one in value.items()}
    if isinstance(value, list):
        return [rounded(one) for one in value]
    if isinstance(value, float):
        return float(f"{value:.4g}") if np.isfinite(value) else None
    return value
