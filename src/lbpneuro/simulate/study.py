"""Where a simulated study lies and what is planted in it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from lbpneuro.simulate.anatomy import AnatomySettings
from lbpneuro.simulate.bold import BoldSettings
from lbpneuro.simulate.emg import HAND, LEG, TRUNK, EmgSettings
from lbpneuro.simulate.excitability import ExcitabilitySettings
from lbpneuro.simulate.pet import PetSettings
from lbpneuro.simulate.rating import RatingSettings
from lbpneuro.simulate.reflex import ReflexSettings
from lbpneuro.simulate.sensory import SensorySettings
from lbpneuro.simulate.stimulation import MapSettings, PlasticitySettings


@dataclass(frozen=True, slots=True)
class Study:
    """A simulated study below ``root`` at ``voxel_mm``, with the settings of every modality (None: not measured).

    ``structural`` are programs besides fMRIPrep whose results are written: cat12, freesurfer, fastsurfer. ``navigated``
    gives the positions of the coil on the head, as neuronavigation does, not on the grid of a cap.
    """

    root: Path
    voxel_mm: float
    anatomy: AnatomySettings = field(default_factory=AnatomySettings)
    bold: BoldSettings = field(default_factory=BoldSettings)
    rating: RatingSettings | None = None
    motor_map: MapSettings = field(default_factory=MapSettings)
    plasticity: PlasticitySettings = field(default_factory=PlasticitySettings)
    trunk: EmgSettings = TRUNK
    hand: EmgSettings = HAND
    leg: EmgSettings = LEG
    sensory: SensorySettings = field(default_factory=SensorySettings)
    excitability: ExcitabilitySettings | None = None
    reflex: ReflexSettings | None = None
    pet: PetSettings | None = None
    structural: tuple[str, ...] = ()
    navigated: bool = False

    @property
    def raw(self) -> Path:
        """The raw BIDS dataset."""
        return self.root / "raw"

    @property
    def fmriprep(self) -> Path:
        """The fMRIPrep-shaped derivatives."""
        return self.root / "fmriprep"
