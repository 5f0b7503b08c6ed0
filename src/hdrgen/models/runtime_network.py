"""A network with its weights as the product runs it: in the precision that the processor has in hardware."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar, Generic, Self, TypeVar

import torch
from torch import nn

from hdrgen.models.weights import released_weights
from hdrgen.runtime.documents import file_sha256
from hdrgen.runtime.errors import HdrgenError

NetT = TypeVar("NetT", bound=nn.Module)


class Network(ABC, Generic[NetT]):
    """What the product's models have in common.

    Parameters
    ----------
    net
        The network; its convolutions are run in ``dtype``.
    digest
        Of the weights, for provenance: the first twelve hexadecimal digits of their SHA-256.
    dtype
        bf16 where the processor has it in hardware, else fp32.
    """

    model: ClassVar[str]
    """Model that the weights are of, and the name of the released weights."""

    @staticmethod
    @abstractmethod
    def load_net(path: Path) -> Any:
        """Read weights as the network that is run."""

    @classmethod
    def load(cls, weights: Path | None = None) -> Self:
        """Load it with these weights, or with the released ones; once for each content of the file.

        Raises
        ------
        HdrgenError
            The file is missing, damaged, or holds another model.
        """
        path = weights or released_weights(cls.model)
        return _loaded(cls, path, weights_file_digest(path))  # type: ignore[return-value]

    def __init__(self, net: NetT, digest: str, dtype: torch.dtype | None = None) -> None:
        self.digest = digest
        self._dtype = dtype or fastest_dtype()
        self._net = net.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def _autocast(self) -> torch.autocast:
        return torch.autocast("cpu", torch.bfloat16, enabled=self._dtype == torch.bfloat16)


@lru_cache(maxsize=8)
def _loaded(kind: type[Network[Any]], path: Path, digest: str) -> Network[Any]:
    return kind(kind.load_net(path), digest)


def weights_file_digest(path: Path) -> str:
    """Return the digest of a file of weights, see `Network`.

    Raises
    ------
    HdrgenError
        It cannot be read.
    """
    try:
        return file_sha256(path)[:12]
    except OSError as error:
        raise HdrgenError(f"{path}: no readable safetensors weights ({error})") from None


def fastest_dtype() -> torch.dtype:
    """Return bf16 where this processor multiplies it in hardware, else fp32."""
    in_hardware = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()  # noqa: SLF001
    return torch.bfloat16 if in_hardware else torch.float32


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Have torch work with so many threads, and then again with as many as before."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
