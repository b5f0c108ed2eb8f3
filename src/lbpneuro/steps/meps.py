"""Step ``meps``: an EMG recording with TMS pulses to a table of motor-evoked potentials."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np

from lbpneuro.errors import LbpneuroError
from lbpneuro.io import emg, mep_maps, meps, nibs
from lbpneuro.io.files import read_json, write_tsv
from lbpneuro.io.index import entities
from lbpneuro.io.provenance import bids_uri, checksum, dataset_roots
from lbpneuro.io.tables import write_plain_parquet
from lbpneuro.kernels.mep import Responses, measure_responses
from lbpneuro.steps.command import Config, log, parser, start_log


def main(argv: Sequence[str]) -> int:
    """Write the trial table; if the recording cannot be used, an empty one whose sidecar says why."""
    start_log()
    options = parser(__doc__ or "").parse_args(argv)
    config = read_json(options.config)
    try:
        table, facts = measure(options.files, config, average=meps.average_path(options.out))
    except LbpneuroError as error:
        log.error("%s", error)
        table, facts = meps.empty_table(), {"Error": {"reason": str(error.reason), "message": str(error)}}
    for warning in facts.get("Warnings", []):
        log.warning("%s", warning)
    roots = dataset_roots(config)
    sources = {bids_uri(path, roots): checksum(path) for path in sorted(options.files) if path.is_file()}
    meps.write_meps(options.out, table, {**facts, "Sources": sources})
    return 0


def measure(files: Sequence[Path], config: Config, *, average: Path) -> tuple[Any, dict[str, Any]]:
    """Return the trial table of a recording and its facts; write the mean waveforms."""
    path = next(path for path in files if entities(path).get("suffix") == "emg" and path.suffix in (".edf", ".bdf"))
    channels_path = emg.one_file(files, "channels", of=path, why="it names the muscles and units of the channels")
    events_path = emg.one_file(files, "events", of=path, why="without events there is no MEP")
    recording = emg.read_recording(path, channels_path)
    known = [channel.muscle for channel in recording.channels]
    muscles, absent = meps.task_muscles(entities(path).get("task", ""), config, available=known)
    channels = emg.select_muscles(recording, muscles, windows=config["mep"]["windows_ms"])
    stimulation = nibs.read_stimulation(files, events=events_path)
    pulses = emg.read_pulses(events_path, duration=recording.duration, draft=stimulation.draft)
    pulses = nibs.describe_pulses(pulses, stimulation, origin=events_path)
    pulses = meps.with_coil(pulses, config["mep"]["coil"])
    settings = meps.mep_settings(channels, recording, config=config)
    intervals = emg.pair_intervals(pulses, origin=events_path)
    longest = float(intervals.max(initial=0.0))
    window = meps.epoch_window(settings, longest=longest)
    epochs, times = emg.read_epochs(recording, channels, onsets=pulses["onset"].to_numpy(), window=window)
    meps.check_windows(times, settings, longest=longest, path=path)
    settings = meps.with_fitted_hum(settings, times, longest=longest)
    limits = emg.channel_limits(channels)
    responses = measure_responses(
        epochs, times, sfreq=recording.sfreq, settings=settings, limits=limits, intervals=intervals
    )
    table = meps.contralateral(meps.trial_table(pulses, channels, responses=responses), channels)
    written = write_waveforms(table, responses, average=average)
    rng = np.random.default_rng(config["run"]["random_seed"])
    facts = {
        **meps.recording_sidecar(recording, config, absent=absent, hum=settings.hum),
        **stimulation.facts(),
        **meps.coil_facts(pulses),
        **meps.protocol(recording, [each for each in files if entities(each).get("suffix") == "nibs"]),
        "BackgroundCrossCorrelation": meps.background_crosstalk(responses, channels, settings=settings),
        "ResponseSpan_ms": meps.response_spans(responses, channels),
        "ArtefactTail": meps.artefact_tails(responses, channels),
        "SignalChecksum": f"crc32:{crc32(np.ascontiguousarray(epochs).tobytes()):08x}",
        "AverageLatency": meps.average_latencies(table, responses, settings=settings, rng=rng),
        "Outputs": [path.name for path in written],
    }
    return table, facts


def write_waveforms(table: Any, responses: Responses, *, average: Path) -> list[Path]:
    """Write the mean waveforms as ``average`` and, beside it, single sweeps and those at every site of a map."""
    write_tsv(average, meps.average_waveforms(table, responses))
    more = {
        meps.sweeps_path(average): meps.single_sweeps(table, responses),
        mep_maps.site_waveforms_path(average): mep_maps.site_waveforms(table, responses),
    }
    written = {path: content for path, content in more.items() if content is not None}
    for path, content in written.items():
        write_plain_parquet(path, content)
    return [average, *written]
