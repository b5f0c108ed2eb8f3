"""A template of a TMS study in BIDS: one simulated participant, to be replaced file by file by one's own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lbpneuro import __version__
from lbpneuro.errors import InputError
from lbpneuro.io.files import write_json, write_text
from lbpneuro.simulate.cohort import BIDS_VERSION, write_people
from lbpneuro.simulate.people import Visit, person
from lbpneuro.simulate.stimulation_files import write_motor_map, write_plasticity
from lbpneuro.simulate.study import Study

README = """\
Template of a TMS study for lbpneuro (lbpneuro simulate --template)
==================================================================

One participant who does not exist. Put your own recordings in place of these, keep the names and the columns.

sub-01/emg/   EMG-BIDS (BIDS 1.11)
  *_emg.bdf           the signal; `lbpneuro import-emg` makes it of other formats
  *_emg.json          sampling rate, mains frequency, reference, placement; BoutPolarity of a plasticity protocol
  *_channels.tsv      name, unit and target_muscle of every channel
  *_electrodes.tsv    where the electrodes were
  *_events.tsv        one row per pulse: onset (s), stimulus, position, block, intensity
sub-01/nibs/  draft 6.3 of BEP037, not part of BIDS yet and therefore in .bidsignore
  *_nibs.tsv/.json    the stimuli; a pair of pulses has pattern1_count 2 and pattern1_interval; IntensitySet: thresholds
  *_markers.tsv       the positions of the coil: {places}
  *_coordsystem.json  their unit and frame

task-motormap: a map of two back muscles over the left hemisphere, 6 x 7 sites, five pulses at each, muscles contracted.
task-plasticity: a hand muscle at rest, before, between and after two bouts of excitatory stimulation.

What each field is for, and what its absence costs: the page "Recording TMS for lbpneuro" of the documentation.
"""
PLACES = {
    False: "x and y on the grid of a cap, from the vertex",
    True: "x, y and z in the space of the participant's T1w image (navigated)",
}


@dataclass(frozen=True, slots=True)
class Template(Study):
    """A study of which only the raw dataset is written, at the root itself."""

    @property
    def raw(self) -> Path:
        """The raw BIDS dataset."""
        return self.root


def write_template(out: Path, *, navigated: bool, seed: int = 1) -> None:
    """Write the template dataset into the folder ``out``: EMG-BIDS with positions on a cap, or navigated ones.

    Raises
    ------
    InputError
        If the folder holds something else already, so that nobody's recordings are overwritten.
    """
    if out.exists() and any(out.iterdir()) and not _is_template(out):
        raise InputError(f"{out}: the folder is not empty; name another one for the template.")
    study = Template(root=out, voxel_mm=4.0, navigated=navigated)
    one = person(1, seed=seed, effect=1.0)
    visit = Visit(one, 0, seed)
    content = {
        "Name": "Template of a TMS study",
        "BIDSVersion": BIDS_VERSION,
        "DatasetType": "raw",
        "License": "CC0",
        "GeneratedBy": [{"Name": MAKER, "Version": __version__}],
    }
    write_json(out / "dataset_description.json", content)
    write_text(out / "README", README.format(places=PLACES[navigated]))
    write_text(out / ".bidsignore", "nibs\n")
    write_people(out, [one])
    write_motor_map(study, visit)
    write_plasticity(study, visit)


MAKER = "lbpneuro simulate --template"


def _is_template(out: Path) -> bool:
    path = out / "dataset_description.json"
    return path.is_file() and MAKER in path.read_text(encoding="utf-8")
