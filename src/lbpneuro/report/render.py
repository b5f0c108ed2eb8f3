"""Pages from tables: the two entry points, and the Jinja environment with escaping."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from lbpneuro import __version__
from lbpneuro.errors import ConfigError, LbpneuroError, Status
from lbpneuro.io.description import NOT_A_DIAGNOSIS
from lbpneuro.io.files import write_text
from lbpneuro.io.provenance import dataset_roots
from lbpneuro.markers.descriptor import Direction, Tier
from lbpneuro.registry import FAMILIES
from lbpneuro.report import words
from lbpneuro.report.canvas import Drawing, with_own_ids
from lbpneuro.report.cohort import (
    acquired_families,
    distributions,
    drawn_columns,
    family_states,
    grid,
    head_counts,
    reason_counts,
)
from lbpneuro.report.facts import recorded, settings
from lbpneuro.report.figures import FIGURES, GROUP_FIGURES
from lbpneuro.report.marks import interval_bar, scale_of, strip_plot
from lbpneuro.report.rows import (
    absent,
    acquired_columns,
    by_marker,
    counts,
    layout,
    leading,
    measured,
    shorter,
    split_acquired,
    worst,
)
from lbpneuro.report.spec import FigureSpec, Section, read_spec
from lbpneuro.report.study import Study
from lbpneuro.report.visit import NO_SESSION, AbsentError, Visit, lacks, never_acquired, over_sessions

if TYPE_CHECKING:
    from jinja2 import Environment

log = logging.getLogger("lbpneuro")
FOLDER = Path(__file__).parent


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownFigure:
    """A figure of one session as the template shows it: drawn, or the line that says why not."""

    spec: FigureSpec
    session: str
    drawing: Drawing | None
    absent: str = ""

    @property
    def id(self) -> str:
        """Name of the figure on the page."""
        return "-".join([self.spec.name.replace("_", "-"), *([] if self.session == NO_SESSION else [self.session])])

    @property
    def markup(self) -> Markup:
        """The drawing with its alternative text."""
        text = f"{self.spec.alt} {self.drawing.note}".strip() if self.drawing else ""
        body = Markup(with_own_ids(self.drawing.markup, self.id) if self.drawing else "")  # noqa: S704 - escaped when drawn
        return Markup('<div class="drawing" role="img" aria-label="{}">{}</div>').format(text, body)


def write_participant_page(path: Path, visits: Sequence[Visit], *, participant: str) -> None:
    """Write the page of one participant: ``visits`` are the sessions that `visit.read_visits` returns."""
    config = visits[0].config if visits else {}
    page = {"participant": participant, "visits": visits, "roots": _hidden_roots(config), "config": config}
    write_text(path, render("participant", page, shown_in=visits))


def write_group_page(path: Path, study: Study) -> None:
    """Write the page of the study."""
    cohort = study.cohort
    states = family_states(cohort)
    page = {
        "cohort": cohort,
        "agreement": study.agreement,
        "coupling": study.coupling,
        "study": study,
        "trial": study.trial,
        "head": head_counts(cohort),
        "grid": grid(cohort),
        "strips": distributions(cohort),
        "states": states,
        "acquired": acquired_families(states),
        "reasons": reason_counts(states),
        "script": Markup((FOLDER / "table.js").read_text(encoding="utf-8")),  # noqa: S704 - our own file
    }
    write_text(path, render("group", page, shown_in=[study]))


def render(page: str, content: Mapping[str, Any], *, shown_in: Sequence[Visit | Study] = ()) -> str:
    """Return the page ``participant`` or ``group`` as HTML, its sections in the order of ``spec.yaml``.

    ``shown_in`` is what the figures are drawn from: the sessions of a participant, or what is known of the study.

    Raises
    ------
    ConfigError
        If ``spec.yaml`` asks for a figure or content that does not exist.
    """
    drawers: Mapping[str, Callable[[Any], Drawing]] = GROUP_FIGURES if page == "group" else FIGURES
    sections = [
        each
        for each in read_spec(page, figures=drawers)
        if (not each.needs or content.get(each.needs)) and not _nobody_measured(each, shown_in)
    ]
    environment = _environment()
    _check_content(environment, page=page, sections=sections)
    drawn = {
        section.id: [shown(figure, each, draw=drawers[figure.name]) for each in shown_in for figure in section.figures]
        for section in sections
        if not _nothing_acquired(section, shown_in)
    }
    return environment.get_template(f"{page}.html").render(
        **content,
        page=page,
        sections=sections,
        drawn=drawn,
        families=FAMILIES,
        version=__version__,
        disclaimer=NOT_A_DIAGNOSIS,
        style=Markup((FOLDER / "style.css").read_text(encoding="utf-8")),  # noqa: S704 - our own file
    )


def _nothing_acquired(section: Section, shown_in: Sequence[Visit | Study]) -> bool:
    visits = [each for each in shown_in if isinstance(each, Visit)]
    return section.family is not None and absent(row for visit in visits for row in visit.family(section.family))


def _nobody_measured(section: Section, shown_in: Sequence[Visit | Study]) -> bool:
    """Whether a section is of a family that no session of a participant has: the table at the top says so."""
    visits = [each for each in shown_in if isinstance(each, Visit)]
    return section.family is not None and lacks(visits, section.family)


def shown(figure: FigureSpec, visit: Visit | Study, *, draw: Callable[[Any], Drawing]) -> ShownFigure:
    """Return ``figure`` of one session; what cannot be drawn becomes one line that says why."""
    try:
        return ShownFigure(spec=figure, session=visit.session, drawing=draw(visit))
    except AbsentError as error:
        absent = str(error)
    except LbpneuroError as error:
        log.warning("figure %s: %s", figure.name, error)
        absent = words.reason_words(error.reason)
    return ShownFigure(spec=figure, session=visit.session, drawing=None, absent=absent)


def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("lbpneuro.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {
        "STATUS": list(Status),
        "DIRECTIONS": list(Direction),
        "TIER": Tier,
        "words": words,
        "by_marker": by_marker,
        "counts": counts,
        "layout": layout,
        "measured": measured,
        "leading": leading,
        "absent": absent,
        "split_acquired": split_acquired,
        "acquired_columns": acquired_columns,
        "never_acquired": never_acquired,
        "drawn_columns": drawn_columns,
        "shorter": shorter,
        "worst": worst,
        "bar": lambda row, rows: interval_bar(row, scale_of(row, rows)),
        "strip_plot": strip_plot,
        "over_sessions": over_sessions,
        "recorded": recorded,
        "settings": settings,
    }
    environment.filters |= {"without_roots": without_roots}
    environment.tests |= {
        "quality": lambda row: row.tier is Tier.QUALITY,
        "complete": lambda families: all(not state.reasons for state in families.values()),
    }
    return environment


def _check_content(environment: Environment, *, page: str, sections: Sequence[Section]) -> None:
    parts = [name.split("/") for name in environment.list_templates()]
    known = sorted(name[1].removesuffix(".html") for name in parts if name[0] == page)
    for section in sections:
        if section.content not in known:
            raise ConfigError(
                f"spec.yaml, section {section.id!r}: unknown content {section.content!r}. Known: {', '.join(known)}."
            )


def _hidden_roots(config: Mapping[str, Any]) -> list[str]:
    """Folders of this machine, which have no place on a page; the longest first."""
    folders = [str(root) for root in dataset_roots(config).values()] if "dataset" in config else []
    return sorted(folders, key=len, reverse=True)


def without_roots(text: str, roots: Sequence[str]) -> str:
    """Return ``text`` with the folders ``roots`` taken off the paths in it."""
    for root in roots:
        text = text.replace(f"{root}/", "").replace(root, Path(root).name)
    return text
