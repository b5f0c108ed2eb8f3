"""Statistics of FreeSurfer and FastSurfer, whole and broken."""

from __future__ import annotations

import pytest

from lbpneuro.errors import InputError, Reason, UnitError
from lbpneuro.io.surfer_tables import by_label, read_statistics, read_volumes

ASEG = """\
# Title Segmentation Statistics
#
# generating_program mri_segstats
# cvs_version 7.3.2
# Measure TotalGray, TotalGrayVol, Total gray matter volume, 649046.7, mm^3
# Measure SurfaceHoles, SurfaceHoles, Number of defect holes, 28, unitless
# Measure EstimatedTotalIntraCranialVol, eTIV, Estimated Total Intracranial Volume, 1489060.5, mm^3
# TableCol  4 ColHeader Volume_mm3
# TableCol  4 FieldName Volume
# TableCol  4 Units     mm^3
# TableCol  5 ColHeader StructName
# TableCol  5 Units     NA
# NRows 2
# ColHeaders  Index SegId NVoxels Volume_mm3 StructName normMean
  1  10      7255     6947.1  Left-Thalamus                     87.3

  2  49      7207     6852.2  Right-Thalamus                    86.8
"""


@pytest.fixture
def written(tmp_path):
    def write(text: str, name: str = "aseg.stats"):
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


def test_a_segmentation(written):
    table = read_statistics(written(ASEG))
    assert table.program == "FreeSurfer 7.3.2"
    assert table.measure("eTIV", "mm^3") == 1489060.5
    assert table.measure("SurfaceHoles", "unitless") == 28
    assert table.measure("ICV", "mm^3") is None
    assert by_label(table) == {10: "Left-Thalamus", 49: "Right-Thalamus"}
    assert table.column("Left-Thalamus", "Volume_mm3", "mm^3") == 6947.1
    assert table.rows["Right-Thalamus"]["NVoxels"] == 7207


@pytest.mark.parametrize(
    ("line", "program"),
    [
        ("FastSurfer_version 2.4.2 main", "FastSurfer 2.4.2"),
        ("cvs_version freesurfer-linux-centos7_x86_64-7.1.1-20200723", "FreeSurfer 7.1.1"),
        ("cvs_version $Id: mri_segstats.c,v 1.121 2016/05/31 17:27:11 greve Exp $", ""),
        ("cvs_version 5.3.0", "FreeSurfer 5.3.0"),
    ],
)
def test_who_wrote_it(written, line, program):
    assert read_statistics(written(ASEG.replace("cvs_version 7.3.2", line))).program == program


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "  2  49      7207     6852.2  Right-Thalamus                    86.8\n",
            "",
            "expected 2 structures.*found 1",
        ),
        ("6852.2  Right-Thalamus                    86.8", "6852.2", "line 16: expected 6 columns, found 4"),
        ("6852.2", "6852,2", "line 16: expected a number, found '6852,2' .write a point"),
        ("1489060.5,", "1489060,5,", "line 7: expected 5 fields.*found 6.*decimal comma"),
        ("1489060.5", "n/a", "line 7: expected a number, found 'n/a'"),
        ("# ColHeaders", "# Colheaders", "before the names of the columns"),
        ("# NRows 2", "# NRows two", "expected a number, found 'two'"),
    ],
)
def test_what_is_broken_is_named(written, old, new, said):
    assert old in ASEG
    with pytest.raises(InputError, match=said):
        read_statistics(written(ASEG.replace(old, new)))


def test_other_units_are_refused(written):
    table = read_statistics(written(ASEG.replace("Units     mm^3", "Units     cm^3").replace("mm^3\n# NRows", "x")))
    with pytest.raises(UnitError, match=r"column Volume_mm3 in mm\^3, found 'cm\^3'"):
        table.column("Left-Thalamus", "Volume_mm3", "mm^3")
    table = read_statistics(written(ASEG.replace("1489060.5, mm^3", "1489.1, ml")))
    with pytest.raises(UnitError, match=r"measure eTIV in mm\^3, found 'ml'"):
        table.measure("eTIV", "mm^3")


def test_a_missing_column_is_named(written):
    table = read_statistics(written(ASEG.replace("Volume_mm3 StructName", "Volume StructName")))
    with pytest.raises(InputError, match="column Volume_mm3 is missing; found Index, SegId, NVoxels, Volume, normMean"):
        table.column("Left-Thalamus", "Volume_mm3", "mm^3")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "the file is empty"),
        (b"\n \n", "the file is empty"),
        (b"# nothing\n", "found none"),
        (b"\xff\xfe\x00", "text"),
    ],
)
def test_files_that_are_no_tables(tmp_path, content, said):
    path = tmp_path / "aseg.stats"
    path.write_bytes(content)
    with pytest.raises(InputError, match=said):
        read_statistics(path)


def test_a_link_to_nothing_is_a_missing_file(tmp_path):
    (tmp_path / "aseg.stats").symlink_to("nowhere")
    with pytest.raises(InputError, match="no such file") as caught:
        read_statistics(tmp_path / "aseg.stats")
    assert caught.value.reason is Reason.FILE_MISSING


def test_volumes_of_nuclei(written):
    path = written("Left-AV 123.5 \nRight-MV(Re) 10.657177 \n", "ThalamicNuclei.v12.T1.volumes.txt")
    assert read_volumes(path) == {"Left-AV": 123.5, "Right-MV(Re)": 10.657177}
    with pytest.raises(InputError, match="line 1: expected a name and a volume, found 'Left-AV'"):
        read_volumes(written("Left-AV\n"))
