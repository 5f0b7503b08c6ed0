"""``python -m hdrgen.report.tables``: the tables of all documents of this folder."""

from pathlib import Path

from hdrgen.report.tables.pages import write_tables
from hdrgen.runtime.console import run_stage

run_stage(lambda: write_tables(Path()))
