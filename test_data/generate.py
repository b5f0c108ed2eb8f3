"""Write the tiny study: amplitudes of two people as a lab without raw EMG has them, small enough to check by hand.

``python test_data/generate.py [FOLDER]`` writes it (by default beside this file) with the SHA-256 of every file in
``SHA256SUMS``. All numbers are whole microvolts, so that the bytes are the same on every machine.

sub-01  a motor map of two muscles on a 4 x 4 grid of 10 mm, three pulses per site at 90, 100 and 110 % of the site's
        amplitude; and a plasticity run of two excitatory bouts, ten pulses per block
sub-02  the plasticity run only, with two inhibitory bouts
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

HERE = Path(__file__).resolve().parent

# Amplitude (uV) by row, y from +30 mm down to 0, and column, x from -30 mm to 0.
MAPS = {
    "multifidus_deep": [[0, 10, 20, 5], [10, 60, 100, 30], [5, 40, 80, 20], [0, 10, 15, 0]],
    "longissimus": [[0, 5, 10, 5], [5, 20, 40, 30], [10, 50, 100, 60], [5, 20, 40, 20]],
}
SHARES = (90, 100, 110)
BLOCKS = {"pre": 1000, "between": 1500, "post00": 800, "post10": 600, "post20": 700}
SPREAD = (80, 85, 90, 95, 100, 100, 105, 110, 115, 120)


def motor_map() -> Iterator[str]:
    yield "trial\ttarget_muscle\themisphere\tsite_id\tx_mm\ty_mm\tp2p_uv"
    trial = 0
    for row in range(4):
        for column in range(4):
            for share in SHARES:
                trial += 1
                for muscle, amplitudes in MAPS.items():
                    site = f"{trial}\t{muscle}\tL\tr{row}c{column}\t{10 * column - 30}\t{30 - 10 * row}"
                    yield f"{site}\t{amplitudes[row][column] * share * 10 // 100}"


def plasticity() -> Iterator[str]:
    yield "trial\ttarget_muscle\themisphere\tblock\tp2p_uv"
    trial = 0
    for block, amplitude in BLOCKS.items():
        for share in SPREAD:
            trial += 1
            yield f"{trial}\tFDI\tL\t{block}\t{amplitude * share // 100}"


def text_files() -> dict[str, str]:
    """The files of the study by their path in it."""
    files = {
        "dataset_description.json": as_json({"Name": "lbpneuro tiny study", "BIDSVersion": "1.11.1", "License": "CC0"}),
        "README": "Made-up amplitudes of two people, written by test_data/generate.py.\n",
        ".bidsignore": "*_meps.*\n",
        "participants.tsv": as_tsv(["participant_id\tgroup\tage", "sub-01\tLBP\t40", "sub-02\tcontrol\t41"]),
    }
    for label, polarity in (("01", 1), ("02", -1)):
        stem = f"sub-{label}/emg/sub-{label}_task-plasticity_meps"
        files[f"{stem}.tsv"] = as_tsv(plasticity())
        files[f"{stem}.json"] = as_json({"TaskName": "plasticity", "BoutPolarity": [polarity, polarity]})
    files["sub-01/emg/sub-01_task-motormap_meps.tsv"] = as_tsv(motor_map())
    return files


def as_tsv(rows: Iterable[str]) -> str:
    return "\n".join(rows) + "\n"


def as_json(content: dict[str, object]) -> str:
    return json.dumps(content, indent=2) + "\n"


def write(folder: Path) -> None:
    """Write the study and the list of checksums below ``folder``."""
    sums = []
    for name, text in sorted(text_files().items()):
        path = folder / "tiny" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="\n")
        sums.append(f"{hashlib.sha256(text.encode()).hexdigest()}  tiny/{name}")
    (folder / "SHA256SUMS").write_text("\n".join(sums) + "\n", encoding="utf-8", newline="\n")


if __name__ == "__main__":
    write(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)
