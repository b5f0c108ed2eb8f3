"""Physiological recordings into regressors."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path

import numpy as np
import pytest

from lbpneuro.errors import InputError
from lbpneuro.io.physio import physio_regressors, read_physio, run_physio
from lbpneuro.simulate.physio import physiology, planted_noise, write_physio

N_TIME, T_R = 150, 2.0
RUN = "sub-01/func/sub-01_task-rest"


def written(folder: Path, name: str, *, columns=("cardiac", "respiratory", "trigger"), seed=1, **more) -> Path:
    path = folder / f"{RUN}_{name}.tsv.gz"
    limits = {"start_s": -4.0, "stop_s": N_TIME * T_R + 4, "sampling_hz": 50.0, **more}
    write_physio(path, physiology(np.random.default_rng(seed), **limits), columns=columns)
    return path


def sidecar(path: Path) -> Path:
    return path.with_name(path.name.replace(".tsv.gz", ".json"))


def change(path: Path, **fields) -> None:
    content = json.loads(sidecar(path).read_text()) | fields
    sidecar(path).write_text(json.dumps({key: value for key, value in content.items() if value is not None}))


def test_a_recording_gives_eighteen_regressors_that_take_the_noise(tmp_path):
    path = written(tmp_path, "physio")
    found = run_physio([path], n_time=N_TIME, t_r=T_R)
    assert found.regressors.shape == (N_TIME, 18)
    assert len(found.names) == 18
    assert found.facts["Used"] == ["cardiac", "respiratory"]
    assert found.facts["cardiac"]["RatePerMinute"] == pytest.approx(66, abs=4)
    assert found.facts["respiratory"]["RatePerMinute"] == pytest.approx(16, abs=2)
    made = physiology(np.random.default_rng(1), start_s=-4, stop_s=N_TIME * T_R + 4, sampling_hz=50.0)
    noise = planted_noise(made, times_s=(np.arange(N_TIME) + 0.5) * T_R)
    model = np.column_stack([np.ones(N_TIME), found.regressors])
    left = noise - model @ np.linalg.lstsq(model, noise, rcond=None)[0]
    assert left.var() < 0.1 * noise.var()


def test_two_files_with_inherited_metadata_are_one_recording(tmp_path):
    whole = run_physio([written(tmp_path, "physio")], n_time=N_TIME, t_r=T_R)
    pulse = written(tmp_path, "recording-cardiac_physio", columns=("cardiac",))
    belt = written(tmp_path, "recording-respiratory_physio", columns=("respiratory",))
    sidecar(tmp_path / f"{RUN}_physio.tsv.gz").unlink()
    for path in (pulse, belt):
        content = json.loads(sidecar(path).read_text())
        top = {key: content.pop(key) for key in ("SamplingFrequency", "StartTime")}
        sidecar(path).write_text(json.dumps(content))
    (tmp_path / "task-rest_physio.json").write_text(json.dumps(top))
    (tmp_path / "dataset_description.json").write_text("{}")
    found = run_physio([belt, pulse], n_time=N_TIME, t_r=T_R)
    np.testing.assert_allclose(found.regressors, whole.regressors, atol=1e-12)
    alone = run_physio([belt], n_time=N_TIME, t_r=T_R)
    assert alone.regressors.shape == (N_TIME, 8)
    assert alone.names[0] == "respiratory1_cos"


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"SamplingFrequency": None}, "SamplingFrequency"),
        ({"SamplingFrequency": "fast"}, "SamplingFrequency .*found 'fast'"),
        ({"SamplingFrequency": 0}, "SamplingFrequency"),
        ({"StartTime": None}, "StartTime"),
        ({"Columns": None}, "Columns, a list of names"),
        ({"Columns": ["cardiac"]}, "expected the 1 columns of its sidecar, found 3"),
        ({"StartTime": 20.0}, r"must cover the volumes from 1.0 to 299.0 s; it lasts from 20.0 to"),
        ({"SamplingFrequency": 60.0}, "must cover the volumes"),
    ],
)
def test_a_wrong_sidecar_is_named_and_does_not_stop_the_run(tmp_path, caplog, fields, said):
    path = written(tmp_path, "physio")
    change(path, **fields)
    with pytest.raises(InputError, match=said) as caught:
        physio_regressors(read_physio([path]), n_time=N_TIME, t_r=T_R)
    assert path.name in str(caught.value)
    found = run_physio([path], n_time=N_TIME, t_r=T_R)
    assert found.regressors.shape == (N_TIME, 0)
    assert found.facts == {"Used": [], "Note": str(caught.value)}
    assert "not used" in caplog.text


def test_wrong_tables_are_named(tmp_path):
    path = written(tmp_path, "physio")
    path.write_bytes(gzip.compress(b"cardiac\trespiratory\ttrigger\n" + b"1\t2\t0\n" * 9))
    with pytest.raises(InputError, match="no header row"):
        read_physio([path])
    path.write_bytes(b"not compressed")
    with pytest.raises(InputError, match="compressed"):
        read_physio([path])
    path.write_bytes(gzip.compress(b"n/a\t2\t0\n" * 9))
    with pytest.raises(InputError, match="no value in 100%"):
        read_physio([path])
    path.write_bytes(b"")
    assert run_physio([path], n_time=N_TIME, t_r=T_R).facts["Used"] == []
    with pytest.raises(InputError, match="no such file"):
        read_physio([tmp_path / "sub-01_task-rest_physio.tsv.gz"])


def test_the_same_wave_twice_is_refused(tmp_path):
    first, second = written(tmp_path, "physio"), written(tmp_path, "recording-b_physio", columns=("cardiac",))
    with pytest.raises(InputError, match="both hold a cardiac wave"):
        read_physio([first, second])


def test_other_recordings_do_not_matter(tmp_path):
    path = written(tmp_path, "recording-eye_physio", columns=("trigger",))
    assert read_physio([path]) == {}
    assert run_physio([path], n_time=N_TIME, t_r=T_R).facts["Used"] == []
    assert run_physio([], n_time=N_TIME, t_r=T_R).facts == {"Used": [], "Note": "no recording"}


def spoiled(path: Path, wave: np.ndarray) -> None:
    """Replace the cardiac column."""
    table = np.loadtxt(path, delimiter="\t")
    table[:, 0] = wave[: len(table)]
    text = "\n".join("\t".join(f"{value:.4f}" for value in row) for row in table)
    path.write_bytes(gzip.compress(text.encode()))


def test_a_poor_wave_is_left_out_and_the_other_kept(tmp_path, rng, caplog):
    n = 60 * 400
    clock = np.arange(n) / 50
    beats = np.cumsum(rng.uniform(0.4, 1.8, 500))
    irregular = np.exp(-0.5 * ((clock[:, np.newaxis] - beats) / 0.08) ** 2).sum(axis=1)
    for wave, why in (
        (rng.standard_normal(n), "rate of"),
        (irregular, "of the intervals are implausible"),
        (np.sin(2 * np.pi * 0.3 * clock), "rate of 18 per minute, outside 30 to 180"),
        (np.where(clock < 150, 1.0, np.sin(2 * np.pi * clock)), "stand still at one value"),
    ):
        path = written(tmp_path, "physio")
        spoiled(path, wave)
        found = run_physio([path], n_time=N_TIME, t_r=T_R)
        assert found.facts["Used"] == ["respiratory"]
        assert found.regressors.shape == (N_TIME, 8)
        assert re.search(why, found.facts["cardiac"]["Refused"])
    assert "the cardiac wave is not used" in caplog.text


def test_a_slow_recorder_is_no_source_of_heart_beats(tmp_path):
    path = written(tmp_path, "physio", sampling_hz=5.0)
    found = run_physio([path], n_time=N_TIME, t_r=T_R)
    assert "sampled at 5 Hz" in found.facts["cardiac"]["Refused"]
    assert found.facts["Used"] == ["respiratory"]


def test_single_missing_samples_are_filled(tmp_path):
    path = written(tmp_path, "physio")
    whole = run_physio([path], n_time=N_TIME, t_r=T_R)
    lines = gzip.decompress(path.read_bytes()).decode().splitlines()
    lines[500] = "n/a\tn/a\t0"
    path.write_bytes(gzip.compress("\n".join(lines).encode()))
    filled = run_physio([path], n_time=N_TIME, t_r=T_R)
    np.testing.assert_allclose(filled.regressors, whole.regressors, atol=0.1)


@pytest.mark.real
def test_recordings_of_a_made_up_dataset_are_read(tmp_path, real_data):
    """The waves of bids-examples/synthetic are at 10 Hz, the breath a pure tone and the heart at the lowest rate."""
    import tarfile

    with tarfile.open(real_data("trees_dev") / "bids-examples_synthetic.tar.xz") as archive:
        archive.extractall(tmp_path, filter="tar")
    (path,) = tmp_path.glob("*/sub-01/ses-01/func/*task-rest_physio.tsv.gz")
    waves = read_physio([path])
    assert {name: len(wave.samples) for name, wave in waves.items()} == {"cardiac": 1600, "respiratory": 1600}
    found = physio_regressors(waves, n_time=60, t_r=2.0)
    assert found.facts["respiratory"]["RatePerMinute"] == pytest.approx(6.0, abs=0.1)
    assert "respiratory" in found.facts["Used"]
