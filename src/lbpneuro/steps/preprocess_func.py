"""Step ``preprocess-func``: a raw BOLD run and the person's anatomy to a normalised series with its confounds."""

from __future__ import annotations

from collections.abc import Sequence

from lbpneuro.errors import LbpneuroError
from lbpneuro.io.files import read_json
from lbpneuro.io.provenance import dataset_roots
from lbpneuro.preprocess.derivatives import anatomy_files, anatomy_manifest, write_failure, write_run
from lbpneuro.preprocess.functional import preprocess_run, read_anatomy
from lbpneuro.preprocess.itk import ants_session
from lbpneuro.preprocess.levels import level
from lbpneuro.steps.command import log, parser, start_log


def main(argv: Sequence[str]) -> int:
    """Write the derivatives; what is wrong with the run goes into the manifest, and the study goes on."""
    start_log()
    options = parser(__doc__ or "").parse_args(argv)
    config = read_json(options.config)
    name, timing = config["preprocess"]["level"], config["preprocess"]["slice_timing"]
    source = options.files[0]
    try:
        manifest = anatomy_manifest(options.files)
        with ants_session():
            anatomy = read_anatomy(anatomy_files(manifest))
            run = preprocess_run(source, anatomy=anatomy, level=level(name), timing=timing)
        write_run(run, options.out, source=source, anatomy=manifest, level=level(name), roots=dataset_roots(config))
    except LbpneuroError as error:
        log.error("%s", error)
        write_failure(options.out, error, level_name=name)
    return 0
