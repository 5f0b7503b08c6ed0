"""``hdrgen inspect``: what a picture says about itself, and its light."""

from dataclasses import asdict
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hdrgen.cli.batch import SCENE_SUFFIXES, Job, Report, is_batch, outputs_in, pictures, run_jobs
from hdrgen.cli.inspect_codes import inspect_codes
from hdrgen.cli.options import JsonOption, LayerOption, PartOption, ScenePictures, examples, threads

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hdrgen.images.stored_image import SceneImage, StoredChannel, StoredPart, UnreadableImage
    from hdrgen.qc.statistics import Statistics, StopsHistogram

_BAR_ROWS = 7
_EIGHTHS = " ▁▂▃▄▅▆▇█"
_VALUE_MAX = 90


def inspect(
    inputs: ScenePictures,
    contact_sheet: Annotated[
        Path | None,
        typer.Option(help="Write nine exposures, -4 to +4 stops, to this PNG; a folder for many inputs."),
    ] = None,
    layer: LayerOption = None,
    part: PartOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show a picture's header, its light, and a histogram; of a PNG, TIFF, JPEG or WebP what its codes are.

    The histogram counts pixels by luminance in stops from mid-grey; a contact sheet shows nine exposures. Of an EXR all
    parts, layers and channels are listed, and which of them is the picture.
    """
    from hdrgen.images.scene_image import in_display, read_scene_image
    from hdrgen.images.stored_image import UnreadableImage
    from hdrgen.qc.preview import write_contact_sheet
    from hdrgen.qc.statistics import statistics, stops_histogram

    threads()
    files = pictures(inputs, SCENE_SUFFIXES)
    sheets: list[tuple[Path, ...]] = [()] * len(files)
    if contact_sheet:
        many = is_batch(inputs) or contact_sheet.is_dir()
        sheets = [
            (sheet,) for sheet in (outputs_in(contact_sheet, files, ".png") if many else [contact_sheet])
        ]

    def work(job: Job) -> Report:
        if _is_of_codes(job, layer, part):
            return inspect_codes(job.inputs[0])
        try:
            image = read_scene_image(job.inputs[0], layer=layer, part=part)
        except UnreadableImage as error:
            return _listing(job, error)
        light, histogram = statistics(image), stops_histogram(image)
        for sheet in job.outputs:
            write_contact_sheet(in_display(job.inputs[0], image), sheet)
        facts = {
            "header": _header(image),
            "statistics": asdict(light),
            "histogram": asdict(histogram),
            "notes": image.notes,
        }
        return Report(_plain(facts), _page(job, image, light, histogram), image.notes)

    run_jobs("inspect", [Job((f,), s) for f, s in zip(files, sheets, strict=True)], work, as_json=as_json)


def _is_of_codes(job: Job, layer: str | None, part: str | None) -> bool:
    """Tell a picture of codes, which has neither layers nor exposures: who asks for them is told so as before."""
    from hdrgen.images.code_image import code_format

    return not job.outputs and layer is None and part is None and code_format(job.inputs[0]) is not None


def _listing(job: Job, error: "UnreadableImage") -> Report:
    """Return what a whole file holds of which no picture can be had, else raise why it cannot."""
    from rich.console import Group
    from rich.text import Text

    from hdrgen.images.exr import read_parts
    from hdrgen.images.stored_image import UnreadableImage

    if job.outputs:
        raise error
    try:
        parts = read_parts(job.inputs[0])
    except UnreadableImage:
        raise error from None
    facts = {"error": str(error), "header": {"parts": [asdict(part) for part in parts]}, "statistics": None}
    title = Text(str(job.inputs[0]), style="bold underline")
    return Report(facts, Group(title, _parts_table(parts), Text("")), (error.reason,), good=False)


def _parts_table(parts: "Sequence[StoredPart]", picture: tuple[int, str] | None = None) -> Any:
    """Return a row for each layer of each part, the picture's marked."""
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2))
    for part in parts:
        for name, channels in part.by_layer.items():
            is_picture = picture == (part.index, name)
            label = " ".join(
                filter(None, (f"part {part.index}" if len(parts) > 1 else "", part.name, part.view))
            )
            table.add_row(
                Text(label, style="dim"),
                Text(name or "-", style="bold" if is_picture else ""),
                Text(_channels(channels), style="bold" if is_picture else ""),
                Text("the picture" if is_picture else "", style="cyan"),
            )
    return table


def _channels(channels: "Sequence[StoredChannel]") -> str:
    """Return channels in the order that people say them, with types and sampling."""
    by_kind: dict[str, list[str]] = {}
    for channel in sorted(channels, key=lambda channel: _order(channel.name)):
        sampling = "" if channel.sampling == (1, 1) else " every {}x{}".format(*channel.sampling)
        by_kind.setdefault(channel.pixel_type + sampling, []).append(channel.name.rpartition(".")[2])
    return ", ".join(f"{' '.join(names)} {kind}" for kind, names in by_kind.items())


def _order(name: str) -> tuple[int, str]:
    leaf = name.rpartition(".")[2]
    return ("RGBAXYZ".find(leaf[:1].upper()) % 8, leaf)


def _picture_of(image: "SceneImage") -> tuple[int, str]:
    """Return the part, and the layer as its channels name it: with its view where that is not the default."""
    with_view = f"{image.layer}.{image.view}".strip(".")
    return image.part, with_view if with_view in image.parts[image.part].by_layer else image.layer


def _header(image: "SceneImage") -> dict[str, Any]:
    return {
        "width": image.width,
        "height": image.height,
        "pixel_type": image.pixel_type,
        "alpha": image.alpha is not None,
        "luminance_chroma": image.luminance_chroma,
        "chromaticities": image.chromaticities,
        "compression": image.compression,
        "storage": image.storage,
        "part": image.part,
        "view": image.view,
        "layer": image.layer,
        "is_data": image.is_data,
        "parts": [asdict(part) for part in image.parts],
        "attributes": image.attributes,
    }


def _plain(value: Any) -> Any:
    """Return a value that JSON can say: a header may hold NaN and Inf, JSON may not."""
    match value:
        case dict():
            return {str(key): _plain(item) for key, item in value.items()}
        case list() | tuple():
            return [_plain(item) for item in value]
        case float() if value != value or value in (float("inf"), float("-inf")):  # noqa: PLR0124
            return str(value)
        case Fraction():
            return float(value)
    return value


def _page(job: Job, image: "SceneImage", light: "Statistics", histogram: "StopsHistogram") -> Any:
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    from hdrgen.images.conversion import assumed_chromaticities, describe

    chromaticities, states_primaries = assumed_chromaticities(image)
    primaries = describe(chromaticities) if states_primaries else "none stated: Rec.709 by convention"
    primaries = "none: data" if image.is_data else primaries
    kind = "luminance-chroma" if image.luminance_chroma else "RGBA" if image.alpha is not None else "RGB"
    stored = f"{image.width}x{image.height} {image.pixel_type} {kind}, {image.compression}, {image.storage}"
    p = light.percentiles
    light_rows = [
        (
            "luminance",
            f"median {p['p50']:.4g}   1 % {p['p1']:.4g}   99 % {p['p99']:.4g}   largest {p['max']:.4g}",
        ),
        (
            "range",
            f"{light.stops:.1f} stops (0.1 % to 99.9 %), {light.above_one_share:.2%} of pixels above 1.0",
        ),
        ("values", f"{light.minimum_linear:.4g} to {light.maximum_linear:.4g}"),
    ]
    troubles = [
        (light.nan_values, "NaN"),
        (light.inf_values, "Inf"),
        (light.half_max_values, "at the end of half floats"),
        (light.negative_values, "negative"),
    ]
    warnings = ", ".join(f"{count} {kind}" for count, kind in troubles if count)
    if light.ceiling_share * image.width * image.height >= 10:
        warnings += (
            f"{', ' if warnings else ''}{light.ceiling_share:.2%} of pixels exactly at the largest value"
        )
    layered = sum(len(part.by_layer) for part in image.parts) > 1
    listed = [("layers", _parts_table(image.parts, _picture_of(image)))] if layered else []
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in [
        ("stored", stored),
        ("primaries", primaries),
        *light_rows,
        ("look out", warnings or "nothing"),
    ]:
        table.add_row(name, Text(value, style="yellow" if name == "look out" and warnings else ""))
    for row in listed:
        table.add_row(*row)
    for name, value in sorted(image.attributes.items(), key=lambda item: item[0].lower()):
        if name == "chromaticities":  # said above, by name where they have one
            continue
        text = " ".join(str(value).split())
        shown = text if len(text) <= _VALUE_MAX else f"{text[: _VALUE_MAX - 1]}…"
        table.add_row(Text(name, style="dim not bold"), Text(shown, style="dim"))
    return Group(Text(str(job.inputs[0]), style="bold underline"), table, draw_histogram(histogram), Text(""))


def draw_histogram(histogram: "StopsHistogram") -> Any:
    """Draw a histogram as columns of eighths; light above 1.0, which no 8-bit picture holds, is yellow."""
    from rich.text import Text

    used = [i for i, share in enumerate(histogram.shares) if share > 0]
    if not used:
        return Text("no pixel has any light", style="dim")
    # Whole stops, so that the labels below stand under their columns.
    bins_per_stop = round(1 / (histogram.edges_stops[1] - histogram.edges_stops[0]))
    first = used[0] // bins_per_stop * bins_per_stop
    last = -(-(used[-1] + 1) // bins_per_stop) * bins_per_stop
    shares, edges = histogram.shares[first:last], histogram.edges_stops[first : last + 1]
    tallest = max(shares)
    # A highlight is a handful of pixels: what is there at all shows as one eighth.
    eighths = [max(round(s / tallest * _BAR_ROWS * 8), 1) if s > 0 else 0 for s in shares]
    drawing = Text()
    for row in range(_BAR_ROWS - 1, -1, -1):
        drawing.append(f"{tallest:6.1%} ┤" if row == _BAR_ROWS - 1 else "       │", style="dim")
        for height, edge in zip(eighths, edges, strict=False):
            drawing.append(
                _EIGHTHS[min(max(height - 8 * row, 0), 8)], style="yellow" if edge >= _ONE_STOPS else "cyan"
            )
        drawing.append("\n")
    axis = [" "] * (len(shares) + 4)
    for i, edge in enumerate(edges):
        if edge % 2 == 0:
            for offset, letter in enumerate(f"{edge:+g}" if edge else "0"):
                axis[i + offset] = letter
    drawing.append("       └" + "─" * len(shares) + "\n", style="dim")
    drawing.append("        " + "".join(axis).rstrip() + "\n")
    drawing.append("        stops from mid-grey (0.18); yellow is above 1.0", style="dim")
    if histogram.dark_share >= 0.001:
        drawing.append(f"; {histogram.dark_share:.1%} has no light at all", style="dim")
    return drawing


_ONE_STOPS = 2.5
"""1.0 in stops from 0.18 is 2.47; columns from here on lie above it."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        epilog=examples(
            "hdrgen inspect shot.exr",
            "hdrgen inspect shot.exr --contact-sheet shot_exposures.png",
            "hdrgen inspect shot.exr --layer ViewLayer.Mist",
            "hdrgen inspect renders/ --contact-sheet sheets/",
            "hdrgen inspect shot.exr --json | jq .files[0].statistics.stops",
        )
    )(inspect)
