"""Step ``plasticity``: a table of motor-evoked potentials by block to the rows of the plasticity markers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lbpneuro.io import meps
from lbpneuro.io.config import source_status
from lbpneuro.kernels.mep import CLIPPED
from lbpneuro.markers.plasticity import Blocks
from lbpneuro.steps.command import Config, Measured, OutputFolder, family_step

METHOD = "Differences between blocks in the mean logarithm of the peak-to-peak amplitude"


def main(argv: Sequence[str]) -> int:
    """Run the step."""
    return family_step("plasticity", measure, argv)


def measure(files: list[Path], config: Config, out: OutputFolder) -> Measured:
    """Return the amplitudes of the muscle by block, and the polarity of the bouts."""
    settings = config["plasticity"]
    where = f"task {settings['task']}"
    table, metadata = meps.read_task(files, settings["task"])
    amplitudes, delivered = meps.block_amplitudes(table, settings["muscle"], path=where)
    data = Blocks(
        amplitudes_uv=amplitudes,
        delivered=delivered,
        polarity=meps.bout_polarity(metadata, path=where),
        intensity_changed=meps.intensity_changed(table),
        settings=settings,
        clipped=meps.rejected_share(meps.of_muscle(table, settings["muscle"]), "block", reason=CLIPPED),
        slow=meps.sampled_slowly(metadata),
    )
    out.written.extend(meps.average_of(meps.tables_of_task(files, settings["task"])))
    facts = {"SourceStatus": source_status("plasticity"), "BoutPolarity": list(data.polarity)}
    return Measured(data=data, method=METHOD, sidecar=facts)
