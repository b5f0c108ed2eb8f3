"""``lbpneuro import-table``: a spreadsheet becomes trial tables and phenotype tables of a BIDS dataset."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

EPILOG = """\
1. draft a mapping from the header, and correct it by hand
     lbpneuro import-table tests.xlsx --write-mapping tests.yaml
2. look at what it makes: what every column means, which columns are not used, the first rows of every table
     lbpneuro import-table tests.xlsx --mapping tests.yaml --out study --preview
3. write: all tables or none; nothing that is there already is overwritten
     lbpneuro import-table tests.xlsx --mapping tests.yaml --out study

a mapping (docs/import-table.md explains every key)
  decimal: ","
  missing: [-99]
  participant: {column: Code, pad: 3}
  session: {column: Visit, values: {1: baseline, 2: week18}}
  participants: {columns: {Age: age, Sex: sex}, values: {sex: {1: M, 2: F}}}
  phenotype:
    - {tool: tsk17, columns: {Tampa: tsk17_total}}
  trials:
    - task: ppt
      pattern: "PPT_(?P<site>[a-z]+)_(?P<side>[LR])_(?P<trial>[0-9])"
      constants: {unit: kPa}
      sidecar: {DeviceMaximum: 600}
"""


def parser() -> argparse.ArgumentParser:
    """Return the parser."""
    made = argparse.ArgumentParser(
        prog="lbpneuro import-table",
        description="Turn a spreadsheet (CSV, TSV, XLSX) into trial tables and phenotype tables of a BIDS dataset.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = made.add_argument
    add("file", type=Path, metavar="FILE", help="spreadsheet: .csv, .tsv, .txt, .xlsx, .xlsm")
    add("--mapping", type=Path, metavar="MAP.yaml", help="what every column means")
    add("--out", type=Path, metavar="BIDS_DIR", help="dataset to write into; made if it is not there")
    add("--preview", "--dry-run", "-n", action="store_true", help="show what was understood, and write nothing")
    add("--write-mapping", type=Path, metavar="MAP.yaml", help="draft a mapping from the header, and nothing else")
    add("--sheet", metavar="NAME", help="with --write-mapping: sheet of a workbook")
    return made


def main(argv: Sequence[str]) -> int:
    """Draft a mapping, or show and write what a mapping makes of a spreadsheet."""
    made = parser()
    options = made.parse_args(argv)
    if options.write_mapping:
        from lbpneuro.io.mapping_draft import write_draft

        print(write_draft(options.file, options.write_mapping, {"sheet": options.sheet} if options.sheet else {}))
        return 0
    if options.mapping is None or (options.out is None and not options.preview):
        made.error("give --mapping MAP.yaml and --out BIDS_DIR (or --preview), or --write-mapping MAP.yaml.")
    from lbpneuro.io.import_table import preview, read_mapping, understand, write_understood

    understood = understand(options.file, read_mapping(options.mapping))
    print(preview(understood))
    if options.preview:
        print("nothing was written (--preview).")
        return 0
    written = write_understood(understood, options.out)
    print(f"{options.out}: {len(written)} files written.")
    return 0
