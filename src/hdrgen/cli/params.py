"""``hdrgen params``: every setting of the pipeline, with what it is, its default and its value here."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hdrgen.cli.options import JsonOption, examples
from hdrgen.runtime.errors import HdrgenError

if TYPE_CHECKING:
    from hdrgen.runtime.params import Section
    from hdrgen.runtime.params_reference import Setting

PARAMS = Path("params.yaml")


def params(
    section: Annotated[
        str | None,
        typer.Argument(metavar="[SECTION]", help="A section, or what stands in it. [default: all]"),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """List what can be set in params.yaml.

    Each setting with its type and range, its default, and its sentence. In a folder with a params.yaml its value is that
    of the file, and the default is named where it is another. What params.yaml does not say is as the default has it.
    """
    from hdrgen.runtime.params import read_section
    from hdrgen.runtime.params_reference import settings_of

    known = sections()
    settings: list[Setting] = []
    for name, cls in known.items():
        read = read_section(PARAMS, name, cls) if PARAMS.is_file() else None
        settings += settings_of(name, cls, read)
    if section is not None:
        settings = [s for s in settings if s.name == section or s.name.startswith(f"{section}.")]
        if not settings:
            raise HdrgenError(f"there is no section {section!r}; there are {', '.join(known)}")
    if as_json:
        print(json.dumps([_facts(s) for s in settings], indent=2))  # noqa: T201 - what was asked for
    else:
        typer.echo("\n".join(line for s in settings for line in _lines(s)))


def sections() -> "dict[str, type[Section]]":
    """Return the class of each section of ``params.yaml``, in the order of the pipeline."""
    from hdrgen.dataset.captions.captioning import CaptionSettings
    from hdrgen.dataset.encode import EncodeParams
    from hdrgen.dataset.ingest_settings import IngestParams
    from hdrgen.dataset.pairs.bit_depth_pairs import MakeBitDepthPairs
    from hdrgen.dataset.pairs.bracket_pairs import MakeBracketPairs
    from hdrgen.dataset.pairs.display_pairs import MakeDisplayPairs
    from hdrgen.dataset.pairs.tone_map_pairs import MakeToneMapPairs
    from hdrgen.dataset.repair import SanitizeParams
    from hdrgen.dataset.simulate import SimulateParams
    from hdrgen.dataset.split import SplitParams
    from hdrgen.evaluation.bit_depth import EvaluateBitDepth
    from hdrgen.evaluation.export_parity import Export
    from hdrgen.evaluation.exposure_fusion import EvaluateExposureFusion
    from hdrgen.evaluation.hdr_vae import EvaluateHdrVae
    from hdrgen.evaluation.highlights import EvaluateHighlights
    from hdrgen.evaluation.production import ValidateSettings
    from hdrgen.evaluation.text_to_exr import EvaluateFlux
    from hdrgen.evaluation.tone_fusion import EvaluateToneFusion
    from hdrgen.report.settings import ReportSettings
    from hdrgen.routes.evaluation_prompts import GenerateSettings
    from hdrgen.training.base_model import BaseModelSettings
    from hdrgen.training.bit_depth import TrainBitDepth
    from hdrgen.training.exposure_fusion import TrainExposureFusion
    from hdrgen.training.flux_full import TrainFluxFull
    from hdrgen.training.flux_lora import TrainFluxLora
    from hdrgen.training.flux_vae import TrainFluxVae
    from hdrgen.training.hdr_vae import TrainHdrVae
    from hdrgen.training.highlights import TrainHighlights
    from hdrgen.training.tone_fuser import TrainToneFusion

    return {
        "simulate": SimulateParams,
        "ingest": IngestParams,
        "sanitize": SanitizeParams,
        "split": SplitParams,
        "encode_logc4": EncodeParams,
        "caption": CaptionSettings,
        "make_pairs.tone_map": MakeToneMapPairs,
        "make_pairs.bit_depth": MakeBitDepthPairs,
        "make_pairs.brackets": MakeBracketPairs,
        "make_pairs.display": MakeDisplayPairs,
        "train_tone_fusion": TrainToneFusion,
        "evaluate_tone_fusion": EvaluateToneFusion,
        "train_bit_depth": TrainBitDepth,
        "evaluate_bit_depth": EvaluateBitDepth,
        "train_exposure_fusion": TrainExposureFusion,
        "evaluate_exposure_fusion": EvaluateExposureFusion,
        "train_highlights": TrainHighlights,
        "evaluate_highlights": EvaluateHighlights,
        "base_model": BaseModelSettings,
        "train_hdr_vae": TrainHdrVae,
        "train_flux_vae": TrainFluxVae,
        "evaluate_hdr_vae": EvaluateHdrVae,
        "train_flux_lora": TrainFluxLora,
        "train_flux_full": TrainFluxFull,
        "generate": GenerateSettings,
        "evaluate_flux": EvaluateFlux,
        "validate": ValidateSettings,
        "export": Export,
        "report": ReportSettings,
    }


def _facts(setting: "Setting") -> dict[str, Any]:
    """Return what programs get: no default where the setting is required, no value where it is the default."""
    facts = {"name": setting.name, "type": setting.kind}
    if not setting.is_required:
        facts["default"] = setting.default
    if setting.value != setting.default:
        facts["value"] = setting.value
    return facts | {"about": setting.about}


def _lines(setting: "Setting") -> tuple[str, str]:
    value = f" = {_value(setting.value)}" if setting.value is not None or not setting.is_required else ""
    kind = f"{setting.kind}; required" if setting.is_required else setting.kind
    default = (
        f"; default {_value(setting.default)}"
        if not setting.is_required and setting.value != setting.default
        else ""
    )
    return f"{setting.name}{value}  ({kind}{default})", f"    {setting.about}"


def _value(value: Any) -> str:
    return value if isinstance(value, str) and value else json.dumps(value)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        epilog=examples(
            "hdrgen params",
            "hdrgen params train_bit_depth",
            "hdrgen params make_pairs.brackets.motion --json",
        )
    )(params)
