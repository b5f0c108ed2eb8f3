"""The errors lbpneuro raises, and the closed lists that say how a value came to be or why it is absent."""

from enum import StrEnum


class Status(StrEnum):
    """What became of a marker value."""

    OK = "ok"
    FLAG = "flag"
    FAIL = "fail"
    MISSING = "missing"


class Reason(StrEnum):
    """Why a value is flagged or empty: the closed list of the marker table.

    The order is that of gravity: where several apply they are listed in this order.
    """

    NOT_ACQUIRED = "not_acquired"
    FIRST_SESSION = "first_session"
    SWITCHED_OFF = "switched_off"
    FILE_MISSING = "file_missing"
    INVALID_INPUT = "invalid_input"
    NO_DERIVATIVE = "no_derivative"
    NO_TRANSFORM = "no_transform"
    NOT_IN_SOURCE = "not_in_source"
    NO_REFERENCE = "no_reference"
    OTHER_METHOD = "other_method"
    NO_COVARIATE = "no_covariate"
    STEP_FAILED = "step_failed"
    FAILED_QC = "failed_qc"
    POOR_IMAGE = "poor_image"
    TEMPLATE_MISFIT = "template_misfit"
    HIGH_MOTION = "high_motion"
    TASK_MOTION = "task_motion"
    TOO_FEW_VOLUMES = "too_few_volumes"
    TOO_FEW_DOF = "too_few_dof"
    COVERAGE_TOO_LOW = "coverage_too_low"
    SIGNAL_DROPOUT = "signal_dropout"
    BRAINSTEM_MISPLACED = "brainstem_misplaced"
    OTHER_TEMPLATE = "other_template"
    ZERO_VARIANCE = "zero_variance"
    NO_STATES = "no_states"
    NO_ALTERNATIVE = "no_alternative"
    TOO_FEW_WINDOWS = "too_few_windows"
    NO_RATING = "no_rating"
    CONSTANT_RATING = "constant_rating"
    NO_RESPONSE = "no_response"
    NOT_TSPO = "not_tspo"
    LOW_AFFINITY = "low_affinity"
    WINDOW_NOT_COVERED = "window_not_covered"
    REGION_ABSENT = "region_absent"
    NO_DOSE = "no_dose"
    NO_ARTERIAL_INPUT = "no_arterial_input"
    NO_IMAGE = "no_image"
    NOT_LINEAR = "not_linear"
    TOO_FEW_TRIALS = "too_few_trials"
    TOO_FEW_SITES = "too_few_sites"
    NOT_MONOTONE = "not_monotone"
    PLATEAU_NOT_REACHED = "plateau_not_reached"
    NO_MAP = "no_map"
    NO_GRID = "no_grid"
    CLIPPED = "clipped"
    GUESSING = "guessing"
    AT_CHANCE = "at_chance"
    NO_OPTIONS = "no_options"
    TOO_FEW_ITEMS = "too_few_items"
    NO_BASELINE = "no_baseline"
    NO_PRIMING = "no_priming"
    MIXED_POLARITY = "mixed_polarity"
    OFF_SCHEDULE = "off_schedule"
    INTENSITY_CHANGED = "intensity_changed"
    ZERO_BASELINE = "zero_baseline"
    CONDITIONING_ABORTED = "conditioning_aborted"
    OTHER_DEVICE = "other_device"
    OTHER_FRAME = "other_frame"
    OUT_OF_BOUNDS = "out_of_bounds"
    CENSORED_AT_LIMIT = "censored_at_limit"
    DOUBTFUL_TIMING = "doubtful_timing"
    HIGH_MULTIBAND = "high_multiband"
    SHORT_SCAN = "short_scan"
    MODERATE_MOTION = "moderate_motion"
    ASYMMETRIC = "asymmetric"
    SKULL_STRIPPED = "skull_stripped"
    TISSUE_IN_NUCLEUS = "tissue_in_nucleus"
    BRAIN_CHANGED = "brain_changed"
    MARGINAL_IMAGE = "marginal_image"
    MOVING_HEAD = "moving_head"
    GENOTYPE_UNKNOWN = "genotype_unknown"
    TSPO_LIGAND = "tspo_ligand"
    IMPLAUSIBLE_UPTAKE = "implausible_uptake"
    UNUSUAL_DOSE = "unusual_dose"
    MOTION_UNKNOWN = "motion_unknown"
    LOW_TSNR = "low_tsnr"
    VENTRICLE_AS_STRONG = "ventricle_as_strong"
    NOT_RESTING_STATE = "not_resting_state"
    NO_CONTROL_RUN = "no_control_run"
    FEW_FOR_STATES = "few_for_states"
    STATES_FOLLOW_MOTION = "states_follow_motion"
    FEW_TRIALS = "few_trials"
    MANY_REJECTED = "many_rejected"
    LOW_SAMPLING_RATE = "low_sampling_rate"
    PROTOCOL_ASSUMED = "protocol_assumed"
    PRIMING_UNPROVEN = "priming_unproven"
    ARTEFACT_TAIL = "artefact_tail"
    CONDITIONING_UNKNOWN = "conditioning_unknown"
    SHORT_INTERVALS = "short_intervals"
    LOW_RELIABILITY = "low_reliability"
    OTHER_CONSTRUCT = "other_construct"
    MAP_TRUNCATED = "map_truncated"
    IMPUTED_SITES = "imputed_sites"
    CROSSTALK = "crosstalk"
    UNSTABLE_BACKGROUND = "unstable_background"
    VARIABLE_TRIALS = "variable_trials"
    TRAIN_CUT_SHORT = "train_cut_short"
    WEAK_CONDITIONING = "weak_conditioning"
    CONDITIONING_AT_PAIN_SITE = "conditioning_at_pain_site"
    LOW_BASELINE = "low_baseline"
    PUBLISHED_ERROR = "published_error"
    DEVICE_UNKNOWN = "device_unknown"
    FLOOR = "floor"
    CEILING = "ceiling"
    ITEMS_MISSING = "items_missing"
    STRAIGHT_LINING = "straight_lining"
    TOTAL_DIFFERS = "total_differs"
    REDUCED_CONFOUNDS = "reduced_confounds"
    DRAFT_PROCESSING = "draft_processing"


class LbpneuroError(Exception):
    """Base class; ``reason`` is what the marker table says of the values that could not be computed."""

    reason = Reason.STEP_FAILED

    def __init__(self, message: str, *, reason: Reason | None = None) -> None:
        super().__init__(message)
        if reason is not None:
            self.reason = reason


class InputError(LbpneuroError):
    """A file, row or field is not what it must be."""

    reason = Reason.INVALID_INPUT


class UnitError(InputError):
    """A unit is absent, unknown or contradicts the numbers."""


class ConfigError(LbpneuroError):
    """The configuration names an unknown key or a value that is not allowed."""

    reason = Reason.INVALID_INPUT


class OutputError(OSError):
    """A result cannot be written: the disk is full or the folder read-only.

    It is no LbpneuroError, so that it never becomes a row of the marker table: the job fails, and the next run does
    it again.
    """


class CoverageError(LbpneuroError):
    """Too little of a region lies inside the data."""

    reason = Reason.COVERAGE_TOO_LOW


class QualityError(LbpneuroError):
    """The data were read, but a quality gate forbids a value."""

    reason = Reason.FAILED_QC
