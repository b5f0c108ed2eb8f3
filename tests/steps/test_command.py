"""The frame of a family step: what it writes when all is well, and when it is not."""

from __future__ import annotations

import errno
import json
from pathlib import Path

import numpy as np
import pytest

from lbpneuro.errors import CoverageError, InputError, LbpneuroError, OutputError
from lbpneuro.io.files import atomic, expand_manifests, write_json
from lbpneuro.io.provenance import bids_uri, checksum, source_name
from lbpneuro.io.tables import read_long
from lbpneuro.markers.structural import region_levels
from lbpneuro.markers.tissue import RegionMap, Structural, from_native_maps
from lbpneuro.registry import family
from lbpneuro.steps import STEPS
from lbpneuro.steps.command import Measured, family_step
from tests.workflow.study import settings


@pytest.fixture
def job(tmp_path: Path):
    """Run the structural frame with a measuring function; return the rows and the sidecar."""
    config = settings(tmp_path)
    write_json(tmp_path / "config.json", config)
    out = tmp_path / "out" / "sub-01" / "anat" / "sub-01_desc-structural_markers.tsv"

    def run(measure, *files: Path, absent: tuple[str, ...] = ()):
        argv = ["--in", *map(str, files), "--out", str(out), "--config", str(tmp_path / "config.json")]
        argv += ["--participant", "sub-01", *(["--absent", *absent] if absent else [])]
        assert family_step("structural", measure, argv) == 0
        return read_long(out), json.loads(out.with_suffix(".json").read_text())

    run.config = config
    return run


def maps(config: dict) -> Structural:
    whole = np.ones((2, 2, 2), dtype=np.float32)
    region = RegionMap(weights=whole, gm=whole * 0.5, inside=whole.astype(bool))
    return from_native_maps(
        source="fmriprep",
        gm=whole * 0.45,
        wm=whole * 0.35,
        csf=whole * 0.2,
        voxel_mm3=175_000.0,
        regions=dict.fromkeys(region_levels(config), region),
        settings=config["structural"],
    )


def a_file(folder: Path, name: str = "sub-01_label-GM_probseg.nii.gz") -> Path:
    path = folder / "raw" / "sub-01" / "anat" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"content that ends in eight bytes")
    return path


def expected_rows(config: dict) -> int:
    return sum(len(marker.levels(config)) for marker in family("structural"))


def test_rows_and_sidecar_of_a_good_job(job, tmp_path: Path) -> None:
    measured = Measured(data=maps(job.config), method="by hand", sidecar={"Note": "x"})
    table, sidecar = job(lambda files, config, out: measured, a_file(tmp_path))
    assert len(table) == expected_rows(job.config)
    assert set(table["source"]) == {"raw"}
    assert set(table["method"]) == {"by hand"}
    assert table.loc[table["marker"] == "tiv", "value"].item() == pytest.approx(1400)
    assert sidecar["Note"] == "x"
    assert sidecar["Settings"] == job.config["structural"]
    assert list(sidecar["Sources"]) == ["bids:raw:sub-01/anat/sub-01_label-GM_probseg.nii.gz"]


@pytest.mark.parametrize(
    ("error", "reason"),
    [(InputError("x.nii: broken"), "invalid_input"), (CoverageError("x.nii: half"), "coverage_too_low")],
)
def test_refused_data_become_rows_with_the_reason(job, tmp_path: Path, error: LbpneuroError, reason: str) -> None:
    def measure(files, config, out):
        raise error

    table, sidecar = job(measure, a_file(tmp_path))
    assert len(table) == expected_rows(job.config)
    assert set(table["reason"]) == {reason}
    assert set(table["status"]) == {"fail"}
    assert sidecar["Error"] == {"reason": reason, "message": str(error)}


def test_a_defect_is_not_hidden(job, tmp_path: Path) -> None:
    def measure(files, config, out):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        job(measure, a_file(tmp_path))
    assert not list((tmp_path / "out").rglob("*_markers.tsv"))


def test_a_full_disk_fails_the_job_and_is_no_row(job, tmp_path: Path) -> None:
    """Rows would be taken for the result for ever; a failed job is done again by the next run."""

    def measure(files, config, out):
        with atomic(out.file("anat", "dseg", ".nii.gz")) as temporary:
            temporary.write_bytes(b"half")
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OutputError, match=r"dseg\.nii\.gz: cannot be written .No space left"):
        job(measure, a_file(tmp_path))
    assert not [path for path in (tmp_path / "out").rglob("*") if path.is_file()]


def test_no_files_are_missing_data_and_are_never_read(job) -> None:
    table, _ = job(None)
    assert set(table["status"]) == {"missing"}
    assert set(table["reason"]) == {"not_acquired"}


def test_dangling_files_are_named(job) -> None:
    table, sidecar = job(None, absent=("/data/sub-01_T1w.nii.gz",))
    assert set(table["reason"]) == {"file_missing"}
    assert sidecar["Absent"] == ["sub-01_T1w.nii.gz"]


def test_gray_matter_is_no_draft_because_a_run_beside_it_is(job, tmp_path: Path) -> None:
    run = tmp_path / "out" / "sub-01" / "func" / "sub-01_task-rest_bold_desc-embedded_func.json"
    run.parent.mkdir(parents=True)
    write_json(run, {"Outputs": {"bold": "x.nii.gz", "confounds": "x.tsv"}, "Level": "draft"})
    seen: list[Path] = []

    def measure(files, config, _out):
        seen.extend(files)
        return Measured(data=maps(config), method="m")

    values, _ = job(measure, a_file(tmp_path), run)
    assert not values["reason"].fillna("").str.contains("draft_processing").any()
    assert [path.name for path in seen] == ["sub-01_label-GM_probseg.nii.gz", "x.tsv"]


def test_values_of_the_draft_path_say_so(job, tmp_path: Path) -> None:
    a_file(tmp_path / "out" / "..", "x.nii.gz")
    manifest = tmp_path / "out" / "sub-01" / "anat" / "sub-01_desc-embedded_anat.json"
    manifest.parent.mkdir(parents=True)
    write_json(manifest, {"Outputs": {"gm": "../../../raw/sub-01/anat/x.nii.gz"}, "Level": "draft"})
    table, _ = job(lambda files, config, out: Measured(data=maps(job.config), method="m"), manifest)
    values = table[table["value"].notna()]
    assert set(values["status"]) == {"flag"}
    assert values["reason"].str.contains("draft_processing").all()


def test_an_error_of_the_embedded_path_reaches_the_rows(job, tmp_path: Path) -> None:
    manifest = tmp_path / "out" / "sub-01" / "anat" / "sub-01_desc-embedded_anat.json"
    manifest.parent.mkdir(parents=True)
    write_json(manifest, {"Error": {"reason": "failed_qc", "message": "no brain found"}, "Level": "draft"})
    table, sidecar = job(None, manifest)
    assert set(table["reason"]) == {"failed_qc"}
    assert sidecar["Error"]["message"] == "no brain found"


def test_a_manifest_stands_for_the_files_it_lists(tmp_path: Path) -> None:
    manifest = tmp_path / "sub-01_desc-embedded_anat.json"
    write_json(manifest, {"Outputs": {"gm": "a.nii.gz", "wm": "b.nii.gz"}})
    other = tmp_path / "c.nii.gz"
    assert expand_manifests([manifest, other]) == [tmp_path / "a.nii.gz", tmp_path / "b.nii.gz", other]
    run = tmp_path / "sub-01_task-rest_bold_desc-embedded_func.json"
    write_json(run, {"Outputs": {"bold": "bold.nii.gz", "confounds": "confounds.tsv"}})
    kept = expand_manifests([manifest, run], of_runs=("confounds",))
    assert kept == [tmp_path / "a.nii.gz", tmp_path / "b.nii.gz", tmp_path / "confounds.tsv"]


def test_one_bad_run_does_not_take_the_others_along(tmp_path: Path) -> None:
    good, bad = (tmp_path / f"sub-01_task-rest_run-{n}_bold_desc-embedded_func.json" for n in "12")
    write_json(good, {"Outputs": {"bold": "a.nii.gz"}})
    write_json(bad, {"Error": {"reason": "invalid_input", "message": "cut off"}})
    assert expand_manifests([bad, good]) == [tmp_path / "a.nii.gz"]
    with pytest.raises(LbpneuroError, match="cut off"):
        expand_manifests([bad])
    with pytest.raises(LbpneuroError, match="cut off"):
        expand_manifests([bad, tmp_path / "sub-01_task-rest_physio.tsv.gz"])
    with pytest.raises(LbpneuroError, match="cut off"):
        expand_manifests([bad, tmp_path / "sub-01_task-rest_desc-confounds_timeseries.tsv"], of_runs=("confounds",))


def test_checksums_and_uris(tmp_path: Path) -> None:
    import gzip
    import hashlib
    import zlib

    packed, plain = tmp_path / "x.nii.gz", tmp_path / "x.tsv"
    packed.write_bytes(gzip.compress(b"abc" * 100))
    plain.write_bytes(b"abc")
    assert checksum(packed) == f"crc32:{zlib.crc32(b'abc' * 100):08x} length:300"
    assert checksum(plain) == f"sha256:{hashlib.sha256(b'abc').hexdigest()}"
    roots = {"": tmp_path / "out", "raw": tmp_path / "raw"}
    assert bids_uri(tmp_path / "raw" / "sub-01" / "x.nii", roots) == "bids:raw:sub-01/x.nii"
    assert bids_uri(Path("/elsewhere/x.nii"), roots) == "x.nii"
    assert source_name([tmp_path / "raw" / "a", tmp_path / "out" / "b"], roots) == "raw"


def test_every_step_can_be_found_and_explains_itself(capsys) -> None:
    from importlib import import_module

    from lbpneuro.__main__ import main

    for name, module in STEPS.items():
        assert callable(import_module(module).main), name
        with pytest.raises(SystemExit) as stopped:
            main([name, "--help"])
        assert stopped.value.code == 0
        assert "--config" in capsys.readouterr().out
