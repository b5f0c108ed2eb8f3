"""Files as amplifiers and navigation systems write them, byte by byte, around a signal that is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np

ONSETS = (1.0, 2.0, 3.0, 4.0)


def known_signal(*, sfreq=2000.0, seconds=5.0, n_channel=2):
    """Noise of 5 uV with a response of 400 and 200 uV at 25 ms after each of ``ONSETS``, in volts."""
    rng = np.random.default_rng(11)
    signal = 5e-6 * rng.standard_normal((n_channel, int(seconds * sfreq)))
    wave = np.sin(2 * np.pi * np.arange(int(0.01 * sfreq)) / (0.01 * sfreq)) / 2
    for onset in ONSETS:
        start = int((onset + 0.02) * sfreq)
        signal[:, start : start + wave.size] += wave * 1e-6 * np.array([[400.0], [200.0]])[:n_channel]
    return signal


def write_brainvision(folder: Path, signal, *, sfreq=2000.0, marks=ONSETS, names=("EMG1", "EMG2")) -> Path:
    """Float32 in uV, with a marker S  1 per pulse and another one that is none."""
    header = folder / "map.vhdr"
    channels = "\n".join(f"Ch{i}={name},,1,µV" for i, name in enumerate(names, start=1))
    header.write_text(
        "Brain Vision Data Exchange Header File Version 1.0\n\n[Common Infos]\nCodepage=UTF-8\nDataFile=map.eeg\n"
        "MarkerFile=map.vmrk\nDataFormat=BINARY\nDataOrientation=MULTIPLEXED\n"
        f"NumberOfChannels={len(names)}\nSamplingInterval={1e6 / sfreq:g}\n\n"
        f"[Binary Infos]\nBinaryFormat=IEEE_FLOAT_32\n\n[Channel Infos]\n{channels}\n",
        encoding="utf-8",
    )
    (signal.T * 1e6).astype("<f4").tofile(folder / "map.eeg")
    places = [(when, "S  1") for when in marks] + [(0.5, "S  9")]
    rows = [f"Mk{i}=Stimulus,{label},{int(when * sfreq) + 1},1,0" for i, (when, label) in enumerate(places, start=1)]
    (folder / "map.vmrk").write_text(
        "Brain Vision Data Exchange Marker File, Version 1.0\n\n[Common Infos]\nDataFile=map.eeg\n\n[Marker Infos]\n"
        + "\n".join(rows)
        + "\n",
        encoding="utf-8",
    )
    return header


def write_eeglab(folder: Path, data, *, sfreq=2000.0, xmin=0.0, names=("EMG1", "EMG2")) -> Path:
    """A data set of EEGLAB (.set) in uV: (n_channel, n_time), or (n_channel, n_time, n_trial) of epochs."""
    from scipy.io import savemat

    data = np.asarray(data) * 1e6
    trials = data.shape[2] if data.ndim == 3 else 1
    locations = np.zeros(len(names), dtype=[(field, object) for field in ("labels", "X", "Y", "Z", "type")])
    for row, name in enumerate(names):
        locations[row] = (name, 0.0, 0.0, 0.0, "EMG")
    if data.ndim == 3:
        events = np.zeros(trials, dtype=[(field, object) for field in ("type", "latency", "epoch", "duration")])
        epochs = np.zeros(trials, dtype=[(field, object) for field in ("event", "eventlatency", "eventtype")])
        for trial in range(trials):
            events[trial] = ("TMS", trial * data.shape[1] - xmin * sfreq + 1, trial + 1, 0.0)
            epochs[trial] = (trial + 1, 0.0, "TMS")
    else:
        events = np.zeros(len(ONSETS), dtype=[(field, object) for field in ("type", "latency", "duration")])
        for row, onset in enumerate(ONSETS):
            events[row] = ("TMS", onset * sfreq + 1, 0.0)
        epochs = np.empty(0)
    content = {
        "setname": "map",
        "nbchan": float(len(names)),
        "trials": float(trials),
        "pnts": float(data.shape[1]),
        "srate": sfreq,
        "xmin": xmin,
        "xmax": xmin + (data.shape[1] - 1) / sfreq,
        "times": (xmin + np.arange(data.shape[1]) / sfreq) * 1e3,
        "data": data,
        "icaweights": np.empty(0),
        "icasphere": np.empty(0),
        "icawinv": np.empty(0),
        "icachansind": np.empty(0),
        "chanlocs": locations,
        "event": events,
        "epoch": epochs,
        "ref": "common",
        "comments": "",
    }
    path = folder / "map.set"
    savemat(path, {"EEG": content}, appendmat=False)
    return path


def _pascal(text: str, length: int) -> bytes:
    return (bytes([len(text)]) + text.encode("ascii")).ljust(length, b"\0")


def write_smr(folder: Path, signal, *, sfreq=2000.0, unit="mV", names=("Mult", "Long"), per_volt=1e3, slow=()) -> Path:
    """A 32-bit Spike2 file: 16-bit waveforms in ``unit`` over +-5, and an event channel with the pulses.

    A block of 512 bytes of header, 140 bytes per channel, then data blocks of 20 bytes of header and their items, as
    the SON file format has it. Channels whose names are in ``slow`` are sampled at a tenth of the rate.
    """
    path = folder / "map.smr"
    tick_s, per_sample = 1e-6, round(1e6 / sfreq)
    blocks, at = [], 1 + 10  # disk blocks of 512 bytes: the file header, and room for 32 channels
    descriptions = []
    for number, name in enumerate(names):
        step = 10 if name in slow else 1
        counts = np.round(signal[number][::step] * per_volt / (1.0 / 6553.6)).astype("<i2")
        first = at
        starts = list(range(0, counts.size, 8000))
        for order, start in enumerate(starts):
            items = counts[start : start + 8000]
            size = -(-(20 + items.nbytes) // 512)
            head = np.zeros(
                1,
                dtype=[
                    ("pred", "<i4"),
                    ("succ", "<i4"),
                    ("start", "<i4"),
                    ("end", "<i4"),
                    ("chan", "<i2"),
                    ("items", "<i2"),
                ],
            )
            last = start + items.size - 1
            follower = at + size if order < len(starts) - 1 else -1
            head[0] = (-1, follower, start * step * per_sample, last * step * per_sample, number + 1, items.size)
            blocks.append((at, head.tobytes() + items.tobytes()))
            last_block, at = at, at + size
        descriptions.append((name, 1, first, last_block, len(starts), step))
    ticks = np.round(np.array(ONSETS) / tick_s).astype("<i4")
    head = np.zeros(1, dtype="<i4, <i4, <i4, <i4, <i2, <i2")
    head[0] = (-1, -1, ticks[0], ticks[-1], len(names) + 1, ticks.size)
    blocks.append((at, head.tobytes() + ticks.tobytes()))
    descriptions.append(("TMS", 3, at, at, 1, 1))
    _write_son(path, descriptions, blocks, unit=unit, per_sample=per_sample, tick_s=tick_s)
    return path


def _write_son(path, descriptions, blocks, *, unit, per_sample, tick_s):
    from struct import pack

    end = max(at + -(-len(content) // 512) for at, content in blocks)
    image = bytearray(end * 512)
    start = pack(
        "<h10s8shhhihhhhhid", 9, b"(C) CED 87", b"lbpneuro", 1, 1, 0, 512, 32, 140, 0, 0, 0, 10_000_000, tick_s
    )
    image[: len(start)] = start
    for number in range(32):
        described = descriptions[number] if number < len(descriptions) else ("", 0, 0, 0, 0, 1)
        name, kind, first, last, count, step = described
        entry = pack("<hiiihhhhhh", 0, 0, first, last, count, 0, 0, 0, 0, 8000)
        entry += _pascal("", 72) + pack("<iih", 10_000_000, step * per_sample, number) + _pascal(name, 10)
        entry += pack("<fBb", 2000.0, kind, 0)
        if kind == 1:
            entry += pack("<ff", 1.0, 0.0) + _pascal(unit, 6) + pack("<h", 1)
        image[512 + 140 * number : 512 + 140 * number + len(entry)] = entry
    for at, content in blocks:
        image[at * 512 : at * 512 + len(content)] = content
    path.write_bytes(image)


AXES = "m0n0\tm0n1\tm0n2\tm1n0\tm1n1\tm1n2\tm2n0\tm2n1\tm2n2"
BRAINSIGHT = """\
# Version: 13
# Coordinate system: {system}
# Created by: Brainsight 2.5
# Units: millimetres, degrees, milliseconds, and microvolts
# Encoding: UTF-8
# Notes: Each column is delimited by a tab. Each value within a column is delimited by a semicolon.
# Target Name\tLoc. X\tLoc. Y\tLoc. Z\t{axes}
{targets}# Sample Name\tSession Name\tIndex\tAssoc. Target\tCrosshairs Driver\tLoc. X\tLoc. Y\tLoc. Z\t{axes}\tEMG Start
{samples}# Electrode Name\tElectrode Type\tSession Name\tLoc. X\tLoc. Y\tLoc. Z
Left Ear\tEEG\tSession 1\t73.5\t-40.8\t-70.5
"""


ROTATION = np.array([[0.0, 0.6, 0.8], [1.0, 0.0, 0.0], [0.0, 0.8, -0.6]])
"""Columns: the axes of the coil (right, front, up), all three different."""


def write_brainsight(folder: Path, places, *, system="NIfTI:Aligned", samples=True) -> Path:
    """An export of Brainsight with one target and a sample per place (right, front, up), or targets alone."""
    signs = (1, 1, 1) if system.startswith("NIfTI") else (-1, -1, 1)
    own = [[sign * value for sign, value in zip(signs, place, strict=True)] for place in places]
    turned = ROTATION * np.array(signs)[:, None]
    rest = "\t".join(f"{value:.4f}" for value in turned.T.ravel())
    targets = "".join(f"Grid {i}\t{x:.4f}\t{y:.4f}\t{z:.4f}\t{rest}\n" for i, (x, y, z) in enumerate(own, start=1))
    rows = "".join(
        f"Sample {i}\tSession 1\t{i}\tGrid 1\tCoil\t{x:.4f}\t{y:.4f}\t{z:.4f}\t{rest}\t(null)\n"
        for i, (x, y, z) in enumerate(own, start=1)
    )
    path = folder / "brainsight.txt"
    path.write_text(BRAINSIGHT.format(system=system, axes=AXES, targets=targets, samples=rows if samples else ""))
    return path


def write_localite(folder: Path, places, *, space="RAS", kind="TriggerMarker", lost=0) -> Path:
    """A marker file of Localite; the first ``lost`` pulses were given with the coil out of sight."""
    signs = (1, 1, 1) if space == "RAS" else (-1, -1, 1)
    parts = []
    for number, place in enumerate([(0.0, 0.0, 0.0)] * lost + list(places)):
        own = [sign * value for sign, value in zip(signs, place, strict=True)]
        cells = {f"data{row}{column}": float(row == column) for row in range(4) for column in range(4)}
        turned = ROTATION * np.array(signs)[:, None]
        cells |= {f"data{row}{column}": turned[row, column] for row in range(3) for column in range(3)}
        cells |= {f"data{row}3": value for row, value in enumerate(own)}
        matrix = "<Matrix4D " + " ".join(f'{key}="{value}"' for key, value in cells.items()) + "/>"
        logged = f'<Value key="valueA" response="{60 + number}"/><Value key="amplitudeA" response="61"/>'
        values = f"<ResponseValues>{logged}</ResponseValues>"
        parts.append(
            f'<TriggerMarker description="" recordingTime="{1000 * number}">{values}{matrix}</TriggerMarker>'
            if kind == "TriggerMarker"
            else f'<InstrumentMarker><Marker description="site {number + 1}">{matrix}</Marker></InstrumentMarker>'
        )
    path = folder / "markers.xml"
    path.write_text(f'<?xml version="1.0"?><{kind}List coordinateSpace="{space}">{"".join(parts)}</{kind}List>')
    return path
