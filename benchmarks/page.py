"""Results as a page with tables and a plot."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

NOTE = "<!-- Written by python -m benchmarks; measure again, do not edit. -->"
KEPT = {"default": "benchmarks", "hcp": "benchmarks-hcp"}
PANELS = {
    "file": "compressed file (MB)",
    "voxels": "voxels",
    "volumes": "volumes",
    "seeds": "seeds",
    "threads": "threads",
}
LINES = {
    "measured": {"color": "#1b6ca8", "marker": "o", "label": "lbpneuro"},
    "unpack only": {"color": "#777777", "linestyle": "--", "label": "unpack only"},
    "GEMM": {"color": "#c0504d", "linestyle": "--", "label": "limit of GEMM"},
    "memory bandwidth": {"color": "#77933c", "linestyle": ":", "label": "limit of memory bandwidth"},
}


def number(value: Any) -> str:
    if value is None or value == "":
        return ""
    if isinstance(value, bool):
        return "yes" if value else "**no**"
    if isinstance(value, float):
        return f"{value:.0e}" if 0 < abs(value) < 1e-3 else f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"
    return str(value)


def table(rows: list[dict[str, Any]]) -> list[str]:
    columns = list(dict.fromkeys(key for row in rows for key in row))
    body = [" | ".join(number(row.get(column)) for column in columns) for row in rows]
    return [f"| {line} |" for line in (" | ".join(columns), " | ".join("---" for _ in columns), *body)]


WARMED = " calls after a first one"
PAIRED = (
    "A ratio of the targets is the median of those to the other side right before and after it in the same process, "
    "and so can differ from that of two lines of a table. "
)


def markdown(found: dict[str, Any], *, image: str | None = None) -> str:
    facts, parts = found["facts"], found["parts"]
    packages = ", ".join(f"{name} {release}" for name, release in facts["packages"].items())
    about = (
        f"One simulated run: {facts['volumes']} volumes, {facts['voxels']} voxels in the brain "
        f"({facts['voxel_mm']:g} mm), {facts['packed_mb']} MB compressed ({facts['ratio']} times smaller than int16), "
        f"36 confounds. {facts['processor']}, {facts['cores']} cores; {facts['threads']} thread(s) of linear algebra "
        f"on both sides, median of {facts['repeats']}{WARMED if facts.get('warmed') else ''}; what takes minutes once. "
        f"{PAIRED if facts.get('paired') else ''}Python {facts['python']}, {packages}. "
        f"The whole took {facts['minutes']} minutes; load of the machine when it began {facts['load']}, when it ended "
        f"{facts['load at the end']}, of which its own is 1: with more, both sides are slower, and ratios less sure."
    )
    lines = [NOTE, "", f"# Benchmarks, {facts['volumes']} volumes", "", about, ""]
    targets = [target for part in parts.values() for target in part["targets"]]
    if targets:
        lines += ["## Targets", "", *table(targets), ""]
    for part in parts.values():
        lines += [f"## {part['title']}", "", part["note"], ""]
        if "curves" in part and image:
            lines += [f"![Time over size, with the limits of the machine]({image})", ""]
        lines += [*table(part["rows"]), ""]
    return "\n".join(lines)


def plot(found: dict[str, Any], path: Path) -> None:
    import matplotlib as mpl

    mpl.use("svg")
    from matplotlib import pyplot as plt
    from matplotlib.ticker import MaxNLocator

    curves = found["parts"]["scaling"]["curves"]
    settings = {"svg.hashsalt": "lbpneuro", "svg.fonttype": "path", "font.size": 9}
    with plt.rc_context(settings):
        figure, axes = plt.subplots(2, 3, figsize=(9, 5.4), layout="constrained")
        bars(axes[0, 0], found["parts"].get("end_to_end", {"rows": []})["rows"])
        for axis, (name, label) in zip(axes.flat[1:], PANELS.items(), strict=True):
            curve = curves[name]
            for key, values in curve.items():
                if key != "x":
                    axis.plot(curve["x"], values, **LINES[key])
            axis.set(
                xlabel=label, ylabel="CPU seconds" if name == "file" else "seconds", ylim=(0, None), xlim=(0, None)
            )
            axis.spines[["top", "right"]].set_visible(False)
            axis.xaxis.set_major_locator(MaxNLocator(4, integer=True))
        for axis in (axes[0, 1], axes[0, 2]):
            axis.legend(frameon=False, fontsize=7)
        figure.savefig(path, format="svg", metadata={"Date": None, "Creator": None})
        plt.close(figure)


def bars(axis: Any, rows: list[dict[str, Any]]) -> None:
    if not rows:
        axis.set_axis_off()
        return
    names = [row["what"] for row in rows]
    drawn = axis.barh(names, [row["CPU (s)"] for row in rows], color=["#777777", "#1b6ca8", "#d99694", "#c0504d"])
    axis.bar_label(drawn, fmt="%.3g", padding=2, fontsize=7)
    axis.invert_yaxis()
    axis.set(xscale="log", xlabel="CPU seconds, file to map")
    axis.margins(x=0.25)
    axis.spines[["top", "right"]].set_visible(False)


def write(found: dict[str, Any], *, results: Path, text: Path, images: Path) -> None:
    for folder in (results.parent, text.parent, images):
        folder.mkdir(parents=True, exist_ok=True)
    results.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    image = images / f"{text.stem}.svg"
    drawn = "scaling" in found["parts"]
    if drawn:
        plot(found, image)
    shown = image.relative_to(text.parent).as_posix() if drawn else None
    text.write_text(markdown(found, image=shown), encoding="utf-8")


def joined(found: dict[str, Any], *, root: Path, kind: str) -> dict[str, Any]:
    """Return results with the parts of those that the repository keeps and that were not measured again."""
    path = root / "benchmarks" / "results" / f"{kind}.json"
    kept = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"facts": {"minutes": 0}, "parts": {}}
    minutes = round(kept["facts"]["minutes"] + found["facts"]["minutes"], 1)
    return {"facts": {**found["facts"], "minutes": minutes}, "parts": {**kept["parts"], **found["parts"]}}


def write_kept(found: dict[str, Any], *, root: Path, kind: str) -> None:
    """Write the results that the repository keeps."""
    docs = root / "docs"
    results = root / "benchmarks" / "results" / f"{kind}.json"
    write(found, results=results, text=docs / f"{KEPT[kind]}.md", images=docs / "images")
