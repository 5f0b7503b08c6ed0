"""Nodes for ComfyUI: link or copy this folder into ``custom_nodes``, see its README.

Imports inside the folder are relative, since ComfyUI loads it under a name of its own.
"""

from comfy_api.latest import ComfyExtension, io

try:
    from hdrgen.images.exr import use_threads
    from hdrgen.runtime.scheduling import cores
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        f"{error}: these nodes need hdrgen in ComfyUI's own Python; run `pip install hdrgen` there"
    ) from None

from .colour import OcioColorTransform
from .files import ExrExporter, ExrLoader
from .generation import HdrFluxFolderSampler
from .models import LoadHdrFlux, LoadHdrVae, register
from .native import HdrFluxSampler, HdrLoraLoader, LoadHdrFluxModel
from .preview import HdrPreview
from .reconstruction import BitDepthExpander, LuminanceStackMerger, ToneFusion
from .recovery import HdrRecover
from .vae import HdrVaeDecode

NODES: list[type[io.ComfyNode]] = [
    HdrFluxSampler,
    HdrLoraLoader,
    LoadHdrFluxModel,
    LoadHdrFlux,
    HdrFluxFolderSampler,
    LoadHdrVae,
    HdrVaeDecode,
    BitDepthExpander,
    LuminanceStackMerger,
    ToneFusion,
    HdrRecover,
    OcioColorTransform,
    HdrPreview,
    ExrLoader,
    ExrExporter,
]


class HdrgenExtension(ComfyExtension):
    """The pack."""

    async def on_load(self) -> None:
        """Let OpenEXR use all cores, and ComfyUI know of ``models/hdrgen``."""
        use_threads(cores())
        register()

    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        """Return the nodes."""
        return NODES


async def comfy_entrypoint() -> HdrgenExtension:
    """Return the pack, as ComfyUI asks for it."""
    return HdrgenExtension()
