"""Settings: defaults, layers, and errors that help."""

from __future__ import annotations

from pathlib import Path

import pytest

from lbpneuro.errors import ConfigError
from lbpneuro.io.config import config_hash, merge, read_config, resolve
from lbpneuro.io.files import read_json
from lbpneuro.io.resources import config_schema, default_config


def written(folder: Path, text: str) -> Path:
    path = folder / "mine.yaml"
    path.write_text(text)
    return path


def test_the_defaults_are_valid_and_commented() -> None:
    config = read_config()
    lines = default_config().read_text().splitlines()
    for section, content in config.items():
        for key in content:
            assert any(line.strip().startswith(f"{key}:") and "#" in line for line in lines), f"{section}.{key}"


def test_every_object_of_the_schema_is_closed_and_every_setting_described() -> None:
    def visit(schema: dict, name: str) -> None:
        assert schema.get("description"), name
        if "properties" in schema:
            assert schema["additionalProperties"] is False, name
            for key, child in schema["properties"].items():
                visit(child, key) if name != "filters" else None

    visit(read_json(config_schema()), "")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("functional: {band: [0.01, 0.1]}", r"unknown setting `functional.band`. Did you mean `band_hz`\?"),
        ("stuctural: {}", r"unknown setting `stuctural`. Did you mean `structural`\?"),
        ("functional: {confounds_fallback: 48p}", "'48p' is not one of .*acompcor6"),
        ("tms: {bootstrap: 3}", "setting `tms.bootstrap`: 3 is less than the minimum of 100"),
        ("dataset: {participants: [sub-01]}", "setting `dataset.participants.0`"),
        ("- a list", "expected sections of settings, found list"),
        ("a: [1", "expected a YAML file of settings"),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, text: str, said: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(ConfigError, match=said) as caught:
        read_config(path)
    assert str(path) in str(caught.value)


def test_layers_are_laid_section_by_section(tmp_path: Path) -> None:
    config = read_config(written(tmp_path, "functional: {dof_min: 30}"), {"dataset": {"participants": ["07"]}})
    assert config["functional"]["dof_min"] == 30
    assert config["functional"]["band_hz"] == read_config()["functional"]["band_hz"]
    assert config["dataset"]["participants"] == ["07"]


def test_a_users_table_of_names_replaces_the_default_one() -> None:
    base = {"dataset": {"derivatives": {"fmriprep": "demo"}, "task": None}}
    assert merge(base, {"dataset": {"derivatives": {}}}) == {"dataset": {"derivatives": {}, "task": None}}


def test_resolved_paths_are_absolute_and_the_shipped_regions_are_found(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    config = resolve(read_config())
    assert config["dataset"]["bids_dir"] == str(tmp_path / "demo" / "raw")
    assert Path(config["functional"]["rois"]).is_file()
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "rois.tsv").write_text(Path(config["functional"]["rois"]).read_text())
    assert resolve(read_config())["functional"]["rois"] == str(tmp_path / "config" / "rois.tsv")


def test_equal_settings_have_equal_digests() -> None:
    assert config_hash({"a": 1, "b": 2}) == config_hash({"b": 2, "a": 1})
    assert config_hash({"a": 1}) != config_hash({"a": 2})


def test_files_of_an_own_atlas_are_absolute_and_must_be_there(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own_dseg.nii.gz").touch()
    own = {"functional": {"atlases": {"Own": {"image": "own_dseg.nii.gz", "labels": None}}}}
    found = resolve(read_config(overrides=own))["functional"]["atlases"]
    assert found == {"Own": {"image": str(tmp_path / "own_dseg.nii.gz"), "labels": None}}
    own["functional"]["atlases"]["Own"]["labels"] = "own.tsv"
    with pytest.raises(ConfigError, match=r"functional\.atlases\.Own\.labels`: there is no file own\.tsv"):
        resolve(read_config(overrides=own))
    with pytest.raises(ConfigError, match="does not match"):
        read_config(overrides={"functional": {"atlases": {"my_atlas": {"image": "x"}}}})
    with pytest.raises(ConfigError, match="'DefaultNode' is not one of"):
        read_config(overrides={"functional": {"networks": ["DefaultNode"]}})


@pytest.mark.parametrize(
    ("own", "said"),
    [
        (
            {"functional": {"confounds": {"brainstem": "acompcor42"}}},
            r"`functional\.confounds\.brainstem`: there is no confound strategy acompcor42\. Did.*acompcor24\? Known: ",
        ),
        ({"functional": {"confounds_alternative": {"cortical": "mine"}}}, r"confounds_alternative\.cortical`.*mine"),
        ({"shift": {"confounds": "12p"}}, r"`shift\.confounds`: there is no confound strategy 12p"),
        (
            {"functional": {"seeds": ["mpcf"]}},
            r"`functional\.seeds`: there is no region mpcf in rois\.tsv\..*mpfc",
        ),
        (
            {"functional": {"edges": {"a": {"seed": ["pag"], "target": ["amygdala_X"]}}}},
            r"`functional\.edges\.a\.target`: there is no region amygdala_X",
        ),
        (
            {"dynamic": {"nodes": [*read_config()["dynamic"]["nodes"], "nowhere"]}},
            r"`dynamic\.nodes`: there is no region nowhere",
        ),
        ({"shift": {"reward": ["acumbens"]}}, r"`shift\.reward`: there is no region acumbens.*accumbens"),
        ({"functional": {"template_transform": "a.h5"}}, r"`functional\.template_transform`: there is no file a\.h5"),
        ({"functional": {"rois": "pyproject.toml"}}, r"`functional\.rois`: .* is no table of regions"),
    ],
)
def test_a_name_that_there_is_not_is_refused_at_the_start(own: dict, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        resolve(read_config(overrides=own))


def test_all_unknown_names_are_told_at_once_and_own_strategies_are_known() -> None:
    own = {"functional": {"confounds": {"cortical": "x"}, "seeds": ["y"]}, "shift": {"pain": ["z"]}}
    with pytest.raises(ConfigError) as caught:
        resolve(read_config(overrides=own))
    assert [line.split("`")[1] for line in str(caught.value).splitlines()] == [
        "functional.confounds.cortical",
        "functional.seeds",
        "shift.pain",
    ]
    named = {
        "confounds_custom": {"x": ["trans_x"]},
        "confounds": {"cortical": "x"},
        "seeds": ["amygdala", "amygdala_L"],
    }
    resolve(read_config(overrides={"functional": named}))
    with pytest.raises(ConfigError, match="the name Seitzman300 is that of the built-in nodes"):
        resolve(read_config(overrides={"functional": {"atlases": {"Seitzman300": {"image": "pyproject.toml"}}}}))


def test_the_name_of_an_own_edge_can_stand_in_a_table() -> None:
    edge = {"seed": ["pag"], "target": ["vmpfc"]}
    with pytest.raises(ConfigError, match="does not match"):
        read_config(overrides={"functional": {"edges": {"pag to\tvmpfc": edge}}})
