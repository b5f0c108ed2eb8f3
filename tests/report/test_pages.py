"""The pages as a reader, a browser and a lab's archive see them."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import json
import math
import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest

from lbpneuro.errors import Reason, Status
from lbpneuro.io.config import read_config
from lbpneuro.io.files import read_tsv, write_tsv
from lbpneuro.markers.descriptor import Tier
from lbpneuro.registry import FAMILIES, MARKERS, family
from lbpneuro.report.cohort import drawn_columns, read_cohort
from lbpneuro.report.figures import FIGURES, GROUP_FIGURES
from lbpneuro.report.render import render
from lbpneuro.report.rows import Row
from lbpneuro.report.spec import read_spec
from lbpneuro.report.visit import Visit
from tests.report.conftest import group_page, participant_page
from tests.report.study import make_study, markers_of
from tests.report.test_marks import every_row

PAGES = ("sub-01", "sub-02", "sub-03", "sub-04", "group")
VOID = {"meta", "link", "img", "br", "input", "circle", "line", "rect", "path", "use"}
LIMIT = 3_000_000
NOT_ACQUIRED = {"excitability", "tms", "plasticity"}
"""What sub-02 lacks."""
LEADING = {f"gm_volume__{roi}__{hemi}" for roi in ("dlpfc", "thalamus") for hemi in "LR"}
LEADING |= {f"label_change_symmetric__dlpfc__{hemi}" for hemi in "LR"}
"""In the table of their marker, and once more in the open."""


class Reader(HTMLParser):
    """Checks that tags nest, and keeps ids, tags with attributes, and text."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open, f"not closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list) -> None:
        names = [name for name, _ in attrs]
        assert len(set(names)) == len(names), f"attribute twice in <{tag}>"
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag, f"</{tag}> closes another element"

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] not in ("style", "script"):
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join("".join(self.words).split())

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.tags if name == tag]


def read(path: Path) -> Reader:
    return Reader(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", PAGES)
def test_page_is_well_formed_with_unique_ids(study, name):
    page = read(study / f"{name}.html")
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(set(ids)) == len(ids)
    targets = [a["href"][1:] for a in page.all("a") if a["href"].startswith("#")]
    assert set(targets) <= set(ids)


@pytest.mark.parametrize("name", PAGES)
def test_page_asks_for_nothing_from_outside(study, name):
    text = (study / f"{name}.html").read_text(encoding="utf-8")
    page = Reader(text)
    for tag, attributes in page.tags:
        for key in ("src", "srcset", "data", "poster", "action", "xlink:href"):
            assert attributes.get(key, "data:").startswith("data:"), (tag, key)
        href = attributes.get("href", "")
        outside = re.match(r"[a-z]+:", href) and not href.startswith(("data:", "https://doi.org/10."))
        assert not outside, href
        assert tag == "a" or href.startswith(("#", "data:")) or not href, (tag, href)
    assert "@import" not in text
    assert not re.search(r"url\((?!#)", text)
    assert "default-src 'none'" in text


@pytest.mark.parametrize("name", PAGES)
def test_page_is_small_and_says_what_it_is_not(study, name):
    path = study / f"{name}.html"
    assert path.stat().st_size < LIMIT
    assert "Not a diagnosis." in read(path).text


@pytest.mark.parametrize("name", PAGES)
def test_page_holds_no_folder_of_this_machine(study, name):
    assert str(study.parent) not in (study / f"{name}.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", PAGES)
def test_page_is_accessible_in_structure(study, name):
    page = read(study / f"{name}.html")
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels.count(1) == 1
    assert all(later <= earlier + 1 for earlier, later in itertools.pairwise(levels))
    assert all("scope" in attributes for attributes in page.all("th"))
    assert all("alt" in attributes for attributes in page.all("img"))
    labelled = [a for tag, a in page.tags if a.get("role") == "img"]
    assert all(a.get("aria-label") for a in labelled)
    assert page.all("html")[0]["lang"] == "en"
    assert sum(tag == "caption" for tag, _ in page.tags) == sum(tag == "table" for tag, _ in page.tags)


@pytest.mark.parametrize(("name", "kind"), [("sub-01", "participant"), ("sub-02", "participant"), ("group", "group")])
def test_sections_come_in_the_order_of_the_spec(study, name, kind):
    shown = [a["id"] for a in read(study / f"{name}.html").all("section")]
    figures = GROUP_FIGURES if kind == "group" else FIGURES
    sections = [section for section in read_spec(kind, figures=figures) if not section.needs]
    assert shown == [each.id for each in sections if name != "sub-02" or each.family not in NOT_ACQUIRED]


@pytest.mark.parametrize("name", ["sub-01", "sub-02", "sub-03", "sub-04"])
def test_every_row_is_there_with_status_and_reason(study, name):
    """Rows of a family of which nothing was acquired are one line instead."""
    page = read(study / f"{name}.html")
    shown = {a["data-column"]: a["class"].split()[-1] for _, a in page.tags if "data-column" in a}
    table = read_tsv(study / name / f"{name}_markers.tsv", dtype=str)
    markers = {marker.name: marker for marker in MARKERS}
    left_out = {"excitability", "tms", "plasticity"} if name == "sub-02" else set()
    expected = {
        "__".join((row["marker"], *(row[column] for column in markers[row["marker"]].index))): row["status"]
        for row in table.fillna("n/a").to_dict("records")
        if markers[row["marker"]].family not in left_out
    }
    assert shown == expected
    times = Counter(a["data-column"] for _, a in page.tags if "data-column" in a)
    assert {column for column, count in times.items() if count > 1} == LEADING
    assert max(times.values()) == 2
    assert left_out or len(shown) == markers_of(study)


def test_a_modality_that_was_not_acquired_stands_in_the_first_section_alone(study):
    page = read(study / "sub-02.html")
    assert NOT_ACQUIRED.isdisjoint(a.get("id") for a in page.all("section"))
    assert all(FAMILIES[family] in page.text for family in NOT_ACQUIRED)
    assert "Motor maps of the two muscles" not in page.text
    assert not any(a.get("data-column", "").startswith("overlap_min") for _, a in page.tags)
    assert not page.all("img")


def test_what_was_not_measured_is_named_once_and_fills_no_rows():
    """One person, two sessions: the cold pain threshold of the forearm, and nothing else."""
    empty = {"value": math.nan, "status": Status.MISSING, "reasons": (Reason.NOT_ACQUIRED,)}
    visits = []
    for session in ("ses-1", "ses-2"):
        every = every_row(session)
        rows = [each if each.column == "cpt__forearm" else dataclasses.replace(each, **empty) for each in every]
        visits.append(Visit(participant="sub-01", session=session, rows=tuple(rows), all_rows=tuple(rows)))
    config = read_config()
    content = {"participant": "sub-01", "visits": visits, "roots": {}, "config": config}
    page = Reader(render("participant", content, shown_in=visits))
    listed = [(a["data-column"], a["data-session"]) for _, a in page.tags if "data-column" in a]
    assert listed == [("cpt__forearm", "ses-1"), ("cpt__forearm", "ses-2")]
    cards = [a for a in page.all("div") if a.get("class", "").startswith("card ")]
    assert len(cards) == 2
    glance, sensory = page.text.split("Not acquired: ")[1:3]
    assert glance.startswith("; ".join(title for name, title in FAMILIES.items() if name != "sensory") + ".")
    assert sensory.startswith("Pressure pain threshold far from the pain; ")
    assert "Cold pain threshold" not in sensory.split(".")[0]
    assert "Sensory tests, no data for: " in page.text


def test_connections_and_networks_stand_before_their_table(study):
    tags = read(study / "sub-01.html").tags
    places = {a.get("id"): place for place, (_, a) in enumerate(tags)}
    rows = [place for place, (_, a) in enumerate(tags) if a.get("data-column") == "pag_vmpfc_z"]
    assert places["functional"] < places["connections"] < places["networks"] < rows[0] < places["seed-map"]


def test_a_stopped_step_tells_its_message_without_the_folder(study):
    text = read(study / "sub-03.html").text
    assert "This step stopped:" in text
    assert "sub-03/func/bold.nii.gz: the file is truncated." in text


def test_trials_are_counted_with_why_they_were_left_out(study):
    page = (study / "sub-01.html").read_text()
    row = "<td>excitability</td><td>FDI</td><td>72</td><td>68</td><td>background high: 3, clipped: 1</td>"
    assert row in page


def test_all_figures_of_a_complete_participant_are_drawn(study):
    page = read(study / "sub-01.html")
    wanted = [figure for section in read_spec("participant", figures=FIGURES) for figure in section.figures]
    shown = [a["id"] for a in page.all("figure")]
    assert shown == [figure.name.replace("_", "-") for figure in wanted]
    assert "not drawn" not in page.text
    images = [a["src"] for a in page.all("img")]
    assert len(images) == 9
    assert all(len(source) * 3 / 4 < 300_000 for source in images)


def test_pages_are_the_same_bytes_twice(study):
    again = {"sub-01": participant_page(study, "sub-01", name="again"), "group": group_page(study, name="group-again")}
    for name, page in again.items():
        assert digest(page) == digest(study / f"{name}.html")
        page.unlink()


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_hostile_names_are_shown_as_text(copied):
    evil = "sub-<script>alert(1)</script>\"'&"
    table = read_tsv(copied / "markers_long.tsv", dtype={"participant_id": str})
    table.loc[table["participant_id"] == "sub-01", "participant_id"] = evil
    write_tsv(copied / "markers_long.tsv", table)
    people = pd.DataFrame({"participant_id": [evil, "sub-02"], "group": ["<b>LBP</b>", 'x" onload="y']})
    write_tsv(copied / "participants.tsv", people)
    group = read(group_page(copied))
    assert len(group.all("script")) == 1
    assert not group.all("b")
    assert not any("onload" in attributes for _, attributes in group.tags)
    assert evil in group.text
    path = copied / "sub-05" / "sub-05_markers.tsv"
    write_tsv(path, read_tsv(path, dtype={"participant_id": str}).assign(participant_id="<i>5</i>"))
    config = ["--config", str(copied.parent / "config.json")]
    from lbpneuro.steps import participant_report

    page = copied / "five.html"
    participant_report.main(["--in", str(path), "--out", str(page), *config, "--participant", "<i>5</i>"])
    assert "<i>5</i>" in read(page).text
    assert not read(page).all("i")


def test_hostile_words_of_a_sidecar_are_shown_as_text(study):
    page = read(study / "sub-01.html")
    assert "Recorded <b>remark</b>" in page.text
    assert not page.all("b")


def test_a_broken_image_is_one_line_not_a_failure(copied):
    image = next((copied / "sub-01" / "func").glob("*boldref.nii.gz"))
    image.write_bytes(image.read_bytes()[:2000])
    page = read(participant_page(copied, "sub-01"))
    assert "Seed on the mean functional image: not drawn, an input file is not what it must be." in page.text
    assert "cortical regions" in page.text.lower()


def test_sessions_stand_next_to_each_other(tmp_path):
    out = make_study(tmp_path, participants=1, sessions=("ses-1", "ses-2"))
    page = read(participant_page(out, "sub-01"))
    rows = [(a["data-column"], a["data-session"]) for _, a in page.tags if "data-column" in a]
    assert len(rows) == 2 * (markers_of(out) + len(LEADING))
    assert rows[0][0] == rows[1][0]
    assert [rows[0][1], rows[1][1]] == ["ses-1", "ses-2"]
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert {"roi-overlay-ses-1", "roi-overlay-ses-2"} <= set(ids)
    assert len(set(ids)) == len(ids)
    group = read(group_page(out))
    assert "LBP, ses-2" in group.text


def test_a_participant_without_any_table_has_a_page(study, tmp_path):
    from lbpneuro.steps import participant_report

    page = tmp_path / "sub-99.html"
    config = ["--config", str(study.parent / "config.json"), "--participant", "sub-99"]
    assert participant_report.main(["--in", "--out", str(page), *config]) == 0
    assert "0 sessions" in read(page).text


def test_group_page_shows_everyone(study):
    page = read(study / "group.html")
    links = {a["href"] for a in page.all("a")}
    assert {f"sub-{number:02d}.html" for number in range(1, 7)} <= links
    assert all(title in page.text for title in FAMILIES.values())
    columns = drawn_columns(read_cohort([study / "markers_long.tsv"], group_column="group"))
    assert {"pag_vmpfc_z", "vpl_s1_z__L", "shift_pain_beta", "state_occupancy__1"} <= set(columns)
    assert not any(column.startswith(("fc_", "network_z", "roi_", "fd_mean")) for column in columns)
    assert len([a for a in page.all("svg") if a.get("class") == "strips"]) == len(columns)
    assert len([a for a in page.all("th") if "data-family" in a]) == markers_of(study)
    assert "2 states 0.61." in page.text
    assert "control" in page.text
    assert "not_acquired" in page.text


def test_group_page_of_one_person_without_group(study, tmp_path):
    table = read_tsv(study / "markers_long.tsv", dtype={"participant_id": str})
    write_tsv(tmp_path / "out" / "markers_long.tsv", table[table["participant_id"] == "sub-05"])
    (tmp_path / "config.json").write_text((study.parent / "config.json").read_text())
    page = read(group_page(tmp_path / "out"))
    assert "1 participant, 1 session," in page.text


@pytest.mark.browser
@pytest.mark.parametrize("name", ["sub-01", "group"])
def test_page_opens_in_a_browser_without_an_error(study, chromium, name):
    dom, console = chromium(study / f"{name}.html")
    assert console == ""
    assert "Not a diagnosis." in dom
    if name == "group":
        assert re.search(r'<output id="filter-shown"[^>]*>6 of 6 rows, \d+ of \d+ columns<', dom)


@pytest.mark.browser
def test_table_sorts_and_filters(copied, chromium):
    page = copied / "group.html"
    probe = """<script>
      const body = document.getElementById("wide").tBodies[0];
      const names = () => [...body.rows].filter((row) => !row.hidden).map((row) => row.cells[0].textContent);
      const head = document.querySelector("#wide th button");
      head.click(); head.click();
      const columns = () => [...document.querySelectorAll("#wide th[data-family]:not([hidden])")].map((th) => th.title);
      const found = { falling: names(), leading: columns() };
      const tab = document.querySelector("[data-show=functional]"), status = document.getElementById("filter-status");
      tab.click();
      found.functional = columns();
      document.getElementById("filter-column").value = "PARTIAL";
      status.value = "fail";
      status.dispatchEvent(new Event("input", { bubbles: true }));
      found.failed = names();
      found.partial = columns();
      document.title = JSON.stringify(found);
    </script></body>"""
    page.write_text(page.read_text(encoding="utf-8").replace("</body>", probe), encoding="utf-8")
    dom, console = chromium(page)
    assert console == ""
    found = json.loads(re.search(r"<title>(.*?)</title>", dom).group(1))
    assert found["falling"] == [f"sub-{number:02d}" for number in range(6, 0, -1)]
    assert found["failed"] == ["sub-03"]
    config = json.loads((copied.parent / "config.json").read_text())
    wanted = ["__".join((m.name, *level)) for m in family("functional") for level in m.levels(config)]
    assert sorted(found["functional"]) == sorted(wanted)
    assert found["functional"][0] == "pag_vmpfc_z"
    assert {"pag_vmpfc_z", "hp_index__post00"} <= set(found["leading"])
    assert len(found["leading"]) < 30
    assert found["partial"] == [column for column in wanted if column.startswith("fc_partial_z")]


@pytest.mark.parametrize("tier", [Tier.SECONDARY, Tier.EXPLORATORY, Tier.QUALITY])
def test_a_family_of_one_marker_with_many_levels_has_an_open_table(tier):
    known = next(marker for marker in MARKERS if marker.name == "network_z")
    marker = dataclasses.replace(known, tier=tier)
    rows = [
        Row(marker=marker, level=level, participant="sub-01", session="n/a", value=0.5, se=0.1, ci_low=0.3, ci_high=0.7,
            n=20.0, status=Status.OK, reasons=(), source="s", method="m", version="1")
        for level in marker.levels(read_config())
    ]  # fmt: skip
    visit = Visit(participant="sub-01", session="n/a", rows=tuple(rows))
    page = render("participant", {"participant": "sub-01", "visits": [visit], "roots": [], "config": {}})
    found = Reader(page)
    tables = [attributes for tag, attributes in found.tags if attributes.get("class") == "beside"]
    assert tables == [{"class": "beside"} | ({} if tier is Tier.QUALITY else {"open": ""})]
    values = Counter(attributes["data-column"] for _, attributes in found.tags if "data-column" in attributes)
    assert values == Counter({row.column: 1 for row in rows})
