"""The models alone, from codes in memory to light in memory: what a command is held against whose files cost as well."""

from collections.abc import Callable, Mapping
from pathlib import Path

from hdrgen.bench.operations import EVS
from hdrgen.exposure.bracket_tables import bracket_tables
from hdrgen.images.code_image import read_code8
from hdrgen.inference.backends import load_network
from hdrgen.inference.tone_mlp import MlpFuser
from hdrgen.models.tone_mlp import ToneMlp
from hdrgen.routes.recover import dequantised
from hdrgen.runtime.choices import Backend
from hdrgen.runtime.scheduling import cores

Work = Callable[[], object]


def prepared(operation: str, backend: Backend, folder: Path) -> Work:
    """Read an operation's pictures, load its model, and return what is to be timed."""
    return _PREPARE[operation](backend, folder)


def _fuse(backend: Backend, folder: Path) -> Work:
    reinhard, log = (read_code8(folder / f"{name}.png").code for name in ("reinhard", "log"))
    fuser = load_network("tone_fusion", backend=backend)
    return lambda: fuser.fuse(reinhard, log, threads=cores())


def _expand(backend: Backend, folder: Path) -> Work:
    code8 = read_code8(folder / "0.png").code
    expander = load_network("bit_depth", backend=backend)
    return lambda: expander.expand(code8, threads=cores())


def _recover(backend: Backend, folder: Path) -> Work:
    code8 = read_code8(folder / "srgb.png").code
    expander, recoverer = (
        load_network("bit_depth", backend=backend),
        load_network("highlights", backend=backend),
    )

    def work() -> object:
        code = dequantised(code8, expander, threads=cores())
        code *= 255
        return recoverer.recover(code, threads=cores())

    return work


def _merge(backend: Backend, folder: Path) -> Work:
    codes = [read_code8(folder / f"{ev}.png").code for ev in EVS]
    tables = [bracket_tables("logc4_awg4", 8, ev, evs=EVS) for ev in EVS]
    merger = load_network("exposure_fusion", backend=backend)
    return lambda: merger.merge(codes, tables, EVS, reference=EVS.index(0), threads=cores())


def _tone_mlp(_backend: Backend, folder: Path) -> Work:
    reinhard, log = (read_code8(folder / f"{name}.png").code for name in ("reinhard", "log"))
    fuser = MlpFuser(ToneMlp())  # any weights take as long
    return lambda: fuser.fuse(reinhard, log, threads=cores())


_PREPARE: Mapping[str, Callable[[Backend, Path], Work]] = {
    "fuse": _fuse,
    "tone_mlp": _tone_mlp,
    "expand": _expand,
    "recover": _recover,
    "merge": _merge,
}
