"""The scores of questionnaires with what they were made of, as a table, and in words for the marker table."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from lbpneuro.markers.descriptor import Level
from lbpneuro.markers.instrument import Instrument, instruments
from lbpneuro.markers.scales import Phenotype, Scored, Sheet, scored

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = (
    "scale",
    "score",
    "value",
    "unit",
    "raw_total",
    "prorated_total",
    "items",
    "blank",
    "blank_items",
    "rule",
    "band",
    "version",
    "source",
)
RULES = {"none": "no blank allowed", "zero": "a blank counts 0", "prorate": "blanks take the mean of the person"}


def score_table(phenotype: Phenotype) -> pd.DataFrame:
    """Return a row per score of the tools that were answered: value, totals in points, blanks, rule, band, version."""
    import pandas as pd

    tools = instruments().values()
    rows = [_row(tool, each, phenotype) for tool in tools for each in scored(tool, phenotype).values()]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _row(tool: Instrument, each: Scored, phenotype: Phenotype) -> dict[str, Any]:
    total, sheet = each.total, phenotype.sheet(tool)
    return {
        "scale": tool.tool,
        "score": each.score.name,
        "value": each.estimate.value,
        "unit": each.score.unit,
        "raw_total": total.raw if total else None,
        "prorated_total": total.prorated if total else None,
        "items": total.items if total else None,
        "blank": total.blank if total else None,
        "blank_items": ";".join(each.blank) or None,
        "rule": each.rule.kind,
        "band": each.band,
        "version": each.version,
        "source": sheet.source.rsplit("/", 1)[-1] if isinstance(sheet, Sheet) else None,
    }


def methods(phenotype: Phenotype) -> Callable[[str, Level], str]:
    """Return how each score came about, by the name of its marker and the level."""
    said = {
        (tool.marker, *((name,) if tool.index else ())): _method(tool, each, phenotype)
        for tool in instruments().values()
        for name, each in scored(tool, phenotype).items()
    }
    return lambda marker, level: said.get((marker, *level), "from the answers to the questionnaire")


def _method(tool: Instrument, each: Scored, phenotype: Phenotype) -> str:
    sheet = phenotype.sheet(tool)
    version = f", version {each.version}" if each.version else ""
    form = (
        f", form with {sheet.form} items brought to the ends of the longer one"
        if isinstance(sheet, Sheet) and sheet.form
        else ""
    )
    taken = f", items of {tool.derived['tool']}" if isinstance(sheet, Sheet) and "items of" in sheet.source else ""
    return (
        f"total as given, without items{version}"
        if each.total is None
        else f"sum of the items, {RULES[each.rule.kind]}{version}{form}{taken}"
    )
