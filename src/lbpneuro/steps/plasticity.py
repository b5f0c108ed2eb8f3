"""Step ``plasticity``: a table of motor-evoked potentials by block to the rows of the plasticity markers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lbpneuro.io import bouts, meps
from lbpneuro.io.config import source_status
from lbpneuro.io.files import write_tsv
from lbpneuro.kernels.mep import CLIPPED
from lbpneuro.markers.plasticity import Blocks
from lbpneuro.steps.command import Config, Measured, OutputFolder, family_step

if TYPE_CHECKING:
    import pandas as pd

METHOD = "Differences between blocks in the mean logarithm of the peak-to-peak amplitude"


def main(argv: Sequence[str]) -> int:
    """Run the step."""
    return family_step("plasticity", measure, argv)


def measure(files: list[Path], config: Config, out: OutputFolder) -> Measured:
    """Return the amplitudes of the muscle by block and the protocol; write blocks and trials for the report."""
    settings = config["plasticity"]
    own, sham = bouts.of_session(files, out.session, sham=settings["sham_session"])
    task = settings["task"]
    table, metadata = meps.read_task(own, task)
    data, protocol = session_blocks(table, metadata, config)
    if sham:
        data = replace(data, sham=session_blocks(*meps.read_task(sham, task), config)[0])
    out.written.extend(meps.waveforms_of(meps.tables_of_task(own, task)))
    write_tsv(out.file("emg", "meps", ".tsv", task=task, desc="blocks"), bouts.block_table(data))
    write_tsv(out.file("emg", "meps", ".tsv", task=task, desc="course"), bouts.course_table(data))
    return Measured(
        data=data,
        method=f"{METHOD}; {protocol.words}",
        sidecar={
            "SourceStatus": source_status("plasticity"),
            "BoutPolarity": list(protocol.polarity),
            "BoutDurationMinutes": list(protocol.minutes),
            "BoutGapMinutes": protocol.gap,
            "ProtocolAssumed": protocol.assumed,
            "BlockLatenessMinutes": dict(data.late),
            "BlockColumns": bouts.BLOCK_COLUMNS,
            "Rejected": meps.rejections(table, task=task),
        },
    )


def session_blocks(table: pd.DataFrame, metadata: dict[str, Any], config: Config) -> tuple[Blocks, bouts.Protocol]:
    """Return the blocks of a session, of its trial table, and the protocol of its bouts."""
    settings = config["plasticity"]
    where = f"task {settings['task']}"
    protocol = bouts.read_protocol(metadata, settings, path=where)
    table, late = bouts.with_blocks(table, protocol, settings, path=where)
    amplitudes, delivered = meps.block_amplitudes(table, settings["muscle"], path=where)
    blocks = Blocks(
        amplitudes_uv=amplitudes,
        delivered=delivered,
        polarity=protocol.polarity,
        intensity_changed=meps.intensity_changed(table),
        settings=settings,
        clipped=meps.rejected_share(meps.of_muscle(table, settings["muscle"]), "block", reason=CLIPPED),
        late=late,
        slow=meps.sampled_slowly(metadata),
        tail=meps.has_artefact_tail(metadata, settings["muscle"]),
        assumed=protocol.assumed,
        seed=config["run"]["random_seed"],
    )
    return blocks, protocol
