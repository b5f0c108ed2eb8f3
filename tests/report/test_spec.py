"""The order of the pages is data, and wrong data are refused with the place and a way out."""

from __future__ import annotations

import pytest
import yaml

from lbpneuro.errors import ConfigError
from lbpneuro.registry import FAMILIES
from lbpneuro.report.figures import FIGURES
from lbpneuro.report.spec import SPEC, read_spec


def changed(tmp_path, change):
    content = yaml.safe_load(SPEC.read_text(encoding="utf-8"))
    change(content)
    path = tmp_path / "spec.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path


def figure(content):
    return next(section for section in content["participant"] if section.get("figures"))["figures"][0]


def test_spec_shows_every_family_and_every_figure():
    sections = read_spec("participant", figures=FIGURES)
    assert [section.family for section in sections if section.family] == list(FAMILIES)
    assert sorted(spec.name for section in sections for spec in section.figures) == sorted(FIGURES)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: figure(c).update(name="roi_overlai"), "unknown figure 'roi_overlai'. Did you mean 'roi_overlay'?"),
        (lambda c: figure(c).pop("alt"), "'alt' is a required property"),
        (lambda c: figure(c).update(colour="red"), "colour"),
        (lambda c: c["participant"][0].update(id="Not an id"), "Not an id"),
        (
            lambda c: c["participant"].append(dict(c["participant"][0])),
            "section ids of the participant page must differ",
        ),
        (lambda c: c["participant"][0].update(family="nobody"), "nobody"),
        (lambda c: c.pop("group"), "'group' is a required property"),
    ],
)
def test_wrong_spec_is_refused(tmp_path, change, message):
    with pytest.raises(ConfigError) as error:
        read_spec("participant", figures=FIGURES, path=changed(tmp_path, change))
    assert message in str(error.value)


def test_unknown_content_is_refused(tmp_path, monkeypatch):
    from lbpneuro.report import render

    path = changed(tmp_path, lambda c: c["group"][0].update(content="weather"))
    monkeypatch.setattr(render, "read_spec", lambda page, figures: read_spec(page, figures=figures, path=path))
    with pytest.raises(ConfigError, match="unknown content 'weather'"):
        render.render("group", {})
