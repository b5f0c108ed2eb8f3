"""The figures that ``spec.yaml`` may name, and the function that draws each."""

from __future__ import annotations

from collections.abc import Callable

from lbpneuro.report.canvas import Drawing
from lbpneuro.report.figures.dynamic import plot_states
from lbpneuro.report.figures.functional import plot_motion_trace, plot_seed_map, plot_seed_on_epi
from lbpneuro.report.figures.plasticity import plot_block_time_course, plot_plasticity_waveforms
from lbpneuro.report.figures.structural import plot_roi_overlay
from lbpneuro.report.figures.tms import plot_mep_waveforms, plot_muscle_maps
from lbpneuro.report.visit import Visit

FIGURES: dict[str, Callable[[Visit], Drawing]] = {
    "roi_overlay": plot_roi_overlay,
    "seed_on_epi": plot_seed_on_epi,
    "seed_map": plot_seed_map,
    "motion_trace": plot_motion_trace,
    "states": plot_states,
    "muscle_maps": plot_muscle_maps,
    "mep_waveforms": plot_mep_waveforms,
    "block_time_course": plot_block_time_course,
    "plasticity_waveforms": plot_plasticity_waveforms,
}
