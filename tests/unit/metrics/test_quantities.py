"""The registry of figures: what it says holds for the names that the pipeline's figures really have."""

import json
import re

from hdrgen.metrics.full_reference import METRICS
from hdrgen.metrics.quantities import QUANTITIES, Quantity, quantity_of
from hdrgen.runtime.metrics_file import read_figures


def paths(tree, above=""):
    for name, value in tree.items():
        if isinstance(value, dict) and "count" not in value:
            yield from paths(value, f"{above}{name} / ")
        else:
            yield f"{above}{name}"


def test_every_registered_name_is_one_of_the_pipelines_figures(request):
    metrics = request.config.rootpath / "metrics"
    trees = [json.loads(file.read_text()) for file in metrics.glob("*.json")]
    trees += [read_figures(folder) for folder in metrics.iterdir() if folder.is_dir()]
    known = {path for tree in trees for path in paths(tree)} | {
        file.stem for file in metrics.glob("*/*_by_*.tsv")
    }
    spelled = [f"_{re.sub('[ _/]+', '_', path)}_" for path in known]
    unused = {name for name in QUANTITIES if not any(f"_{name}_" in path for path in spelled)}
    assert unused <= {*METRICS}


def test_sections_say_what_their_entries_are():
    assert quantity_of("classifier / accuracy_by_kind / neon alley").better == "higher"
    # A ratio of two errors is no error in stops, and that of two peaks is not wanted to be 1.
    assert quantity_of("stops_rmse_over_frozen_vae_logc4_above_16") == Quantity("ratio", "lower")
    assert quantity_of("routes / base / peak_ratio").better == "nearer 1"
    assert quantity_of("base_against_brackets / peak_ratio").better == ""
    # Of a model, and of the one that was released.
    for margin in ("margin", "released_margin", "pu21_psnr_margin"):
        assert quantity_of(margin) == Quantity("dB", "higher")


def test_what_follows_a_name_changes_nothing():
    assert quantity_of("clipped_fraction_logc4_ev-2") == quantity_of("clipped_fraction")
    assert quantity_of("consistency_exposure_error_stops").better == "lower"
    assert quantity_of("tone_distance_stops") != quantity_of("stops") == Quantity("stops")
    assert quantity_of("stopsgap") == Quantity()
