"""The figures that ``spec.yaml`` may name, and the function that draws each."""

from __future__ import annotations

from collections.abc import Callable

from lbpneuro.report.canvas import Drawing
from lbpneuro.report.figures.agreement import plot_agreement
from lbpneuro.report.figures.change import plot_change_nuclei, plot_change_overlay, plot_gray_matter_changes
from lbpneuro.report.figures.connections import plot_connections, plot_networks
from lbpneuro.report.figures.dynamic import plot_group_states, plot_states
from lbpneuro.report.figures.excitability import plot_paired_pulses, plot_thresholds
from lbpneuro.report.figures.functional import plot_motion_trace, plot_seed_map, plot_seed_on_epi
from lbpneuro.report.figures.pet import plot_tspo_uptake
from lbpneuro.report.figures.plasticity import plot_block_time_course, plot_plasticity_waveforms
from lbpneuro.report.figures.qcfc import plot_motion_coupling
from lbpneuro.report.figures.reflex import plot_withdrawal_reflex
from lbpneuro.report.figures.scales import plot_scale_scores
from lbpneuro.report.figures.sensory import plot_body_map, plot_conditioning, plot_rating_trains
from lbpneuro.report.figures.shift import plot_rating_response
from lbpneuro.report.figures.structural import (
    plot_nuclei_overlay,
    plot_roi_overlay,
    plot_sphere_overlay,
    plot_template_fit,
    plot_tissue_contours,
)
from lbpneuro.report.figures.sweeps import plot_excitability_sweeps, plot_map_sweeps, plot_plasticity_sweeps
from lbpneuro.report.figures.tactile import plot_laterality, plot_localisation, plot_two_point
from lbpneuro.report.figures.tms import plot_mep_waveforms, plot_muscle_maps, plot_site_responses, plot_smudging
from lbpneuro.report.figures.trial import plot_trial_course, plot_trial_forest
from lbpneuro.report.study import Study
from lbpneuro.report.visit import Visit

FIGURES: dict[str, Callable[[Visit], Drawing]] = {
    "roi_overlay": plot_roi_overlay,
    "nuclei_overlay": plot_nuclei_overlay,
    "sphere_overlay": plot_sphere_overlay,
    "tissue_contours": plot_tissue_contours,
    "template_fit": plot_template_fit,
    "gray_matter_changes": plot_gray_matter_changes,
    "change_overlay": plot_change_overlay,
    "change_nuclei": plot_change_nuclei,
    "connections": plot_connections,
    "networks": plot_networks,
    "seed_on_epi": plot_seed_on_epi,
    "seed_map": plot_seed_map,
    "motion_trace": plot_motion_trace,
    "states": plot_states,
    "rating_response": plot_rating_response,
    "thresholds": plot_thresholds,
    "paired_pulses": plot_paired_pulses,
    "excitability_sweeps": plot_excitability_sweeps,
    "smudging": plot_smudging,
    "muscle_maps": plot_muscle_maps,
    "site_responses": plot_site_responses,
    "mep_waveforms": plot_mep_waveforms,
    "map_sweeps": plot_map_sweeps,
    "block_time_course": plot_block_time_course,
    "plasticity_waveforms": plot_plasticity_waveforms,
    "plasticity_sweeps": plot_plasticity_sweeps,
    "withdrawal_reflex": plot_withdrawal_reflex,
    "tspo_uptake": plot_tspo_uptake,
    "body_map": plot_body_map,
    "rating_trains": plot_rating_trains,
    "conditioning": plot_conditioning,
    "two_point": plot_two_point,
    "localisation": plot_localisation,
    "laterality": plot_laterality,
    "scale_scores": plot_scale_scores,
}

GROUP_FIGURES: dict[str, Callable[[Study], Drawing]] = {
    "group_states": plot_group_states,
    "trial_forest": lambda study: plot_trial_forest(study.trial),
    "trial_course": lambda study: plot_trial_course(study.trial),
    "agreement": lambda study: plot_agreement(study.agreement),
    "motion_coupling": lambda study: plot_motion_coupling(study.coupling),
}
