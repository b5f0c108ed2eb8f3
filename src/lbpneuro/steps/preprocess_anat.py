"""Step ``preprocess-anat``: a raw T1w image to tissue maps, brain mask and transforms, listed in a manifest."""

from __future__ import annotations

from collections.abc import Sequence

from lbpneuro.errors import LbpneuroError
from lbpneuro.io.files import read_json, write_json
from lbpneuro.io.provenance import dataset_roots
from lbpneuro.preprocess.anatomical import segment_anatomy
from lbpneuro.preprocess.derivatives import kept_anatomy, remove_anatomy, write_anatomy, write_failure
from lbpneuro.preprocess.itk import ants_session
from lbpneuro.preprocess.levels import level
from lbpneuro.steps.command import log, parser, start_log


def main(argv: Sequence[str]) -> int:
    """Write the derivatives; what is wrong with the image goes into the manifest, and the study goes on."""
    start_log()
    options = parser(__doc__ or "").parse_args(argv)
    config = read_json(options.config)
    name, mirror = config["preprocess"]["level"], config["preprocess"]["mirror"]
    origin = {"source": options.files[0], "level": level(name), "roots": dataset_roots(config)}
    try:
        if kept := kept_anatomy(options.out, mirror=mirror, **origin):
            log.info("made before from the same image at the same level: kept")
            write_json(options.out, kept)
            return 0
        with ants_session():
            anatomy = segment_anatomy(options.files[0], level=level(name), mirror=mirror)
            write_anatomy(anatomy, options.out, **origin)
    except LbpneuroError as error:
        log.error("%s", error)
        remove_anatomy(options.out)
        write_failure(options.out, error, level_name=name)
    return 0
