"""Tokens of pictures and embeddings of prompts: computed once, then read row by row from files.

Training holds only what it trains: the VAE and the text encoder are gone by then, and memory does not grow with the
number of pictures.
"""

import hashlib
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.lib.format import open_memmap
from numpy.typing import NDArray
from torch import Tensor, nn

from hdrgen.flux.family import Embedded
from hdrgen.runtime.atomic import replacing

_PROMPTS_AT_ONCE = 16
_PIXELS_AT_ONCE = 256 * 256
"""Small pictures are encoded several at once; one by one they leave a processor waiting."""


@dataclass(frozen=True)
class Sample:
    """A picture ``(H, H, 3)`` as its encoder takes it, its name, and the prompts that it is learned with.

    Each of ``prompts`` fits; ``unprompted`` stands in for a prompt that is left out.
    """

    picture: NDArray[np.float32]
    name: str
    prompts: tuple[str, ...]
    unprompted: str = ""


@dataclass(frozen=True)
class CachedSamples:
    """Samples as tokens ``(S, N, C)``, mapped from a file; the rest has one entry for each sample."""

    tokens: NDArray[np.float16]
    names: Sequence[str]
    prompts: Sequence[Sequence[str]]
    unprompted: Sequence[str]
    digest: str
    """Stands for all that decides them."""

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of tokens."""
        side = math.isqrt(self.tokens.shape[1])
        return side, side

    @property
    def all_prompts(self) -> set[str]:
        """All prompts there are."""
        return {*self.unprompted, *(prompt for several in self.prompts for prompt in several)}


@torch.no_grad()
def cache_samples(
    path: Path, samples: Iterable[Sample], count: int, encode: Callable[[Tensor], Tensor], digest: str
) -> CachedSamples:
    """Encode samples into a file, or find them there.

    Parameters
    ----------
    path
        The file of tokens, ``.npy``; a JSON file beside it says what they are, and is written last.
    samples, count
        What to encode, all of one size, and how many that is. Read as they are encoded, and not at all where the
        file has them.
    encode
        Pictures ``(B, 3, H, H)`` to tokens ``(B, N, C)``.
    digest
        Stands for samples and encoder; tokens of another digest are made anew.
    """
    about = path.with_suffix(".json")
    known = _read(about)
    if known.get("digest") != digest:
        about.unlink(missing_ok=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        file = None
        rest: list[tuple[str, tuple[str, ...], str]] = []
        for batch in _batches(samples):
            pictures = np.stack([sample.picture for sample in batch]).transpose(0, 3, 1, 2)
            tokens = encode(torch.from_numpy(np.ascontiguousarray(pictures))).cpu().numpy()
            if file is None:
                file = open_memmap(path, "w+", np.float16, (count, *tokens.shape[1:]))
            room = file[len(rest) : len(rest) + len(batch)]
            room[:] = tokens[: len(room)]
            rest += [(sample.name, sample.prompts, sample.unprompted) for sample in batch]
        if file is None or len(rest) != count:
            raise ValueError(f"{count} samples were promised, {len(rest)} came")
        file.flush()
        names, prompts, unprompted = zip(*rest, strict=True)
        known = {"digest": digest, "names": names, "prompts": prompts, "unprompted": unprompted}
        _write(about, known)
    return CachedSamples(np.load(path, mmap_mode="r", allow_pickle=False), **known)


class PromptTable:
    """The embedding of every prompt, mapped from files.

    Parameters
    ----------
    folder
        One ``.npy`` for each argument of the transformer; the bits of bfloat16, in which text encoders are published
        and which reaches their largest values.
    prompts
        Each one's row.
    """

    def __init__(self, folder: Path, names: Sequence[str], prompts: Sequence[str]) -> None:
        self.names = tuple(names)
        self._rows = {prompt: row for row, prompt in enumerate(prompts)}
        self._files = {
            name: np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in names
        }

    def __call__(self, prompts: Sequence[str]) -> Embedded:
        """Return the embeddings of these prompts by the transformer's arguments, fp32."""
        rows = [self._rows[prompt] for prompt in prompts]
        return {
            name: torch.from_numpy(file[rows]).view(torch.bfloat16).float()
            for name, file in self._files.items()
        }


def cache_prompts(
    folder: Path, prompts: Iterable[str], embed: Callable[[Sequence[str]], Embedded], digest: str
) -> PromptTable:
    """Embed prompts into files, or find them there.

    Parameters
    ----------
    folder
        Of the files; a JSON file says what they are, and is written last.
    prompts
        In any order.
    embed
        `Flux.embedded`.
    digest
        Stands for the text encoder; embeddings of another one are made anew, as are those of other prompts.
    """
    about = folder / "prompts.json"
    ordered = sorted(set(prompts))
    known = _read(about)
    if known.get("digest") != digest or known.get("prompts") != ordered:
        about.unlink(missing_ok=True)
        folder.mkdir(parents=True, exist_ok=True)
        files: dict[str, np.memmap[Any, np.dtype[np.int16]]] = {}
        for first in range(0, len(ordered), _PROMPTS_AT_ONCE):
            rows = slice(first, first + _PROMPTS_AT_ONCE)
            for name, states in embed(ordered[rows]).items():
                bits = states.to(torch.bfloat16).cpu().view(torch.int16).numpy()
                if name not in files:
                    shape = (len(ordered), *bits.shape[1:])
                    files[name] = open_memmap(folder / f"{name}.npy", "w+", np.int16, shape)
                files[name][rows] = bits
        for file in files.values():
            file.flush()
        known = {"digest": digest, "prompts": ordered, "names": sorted(files)}
        _write(about, known)
    return PromptTable(folder, known["names"], ordered)


def weights_digest(net: nn.Module) -> str:
    """Return what stands for a network's weights: a SHA-256, hexadecimal."""
    digest = hashlib.sha256()
    for name, value in net.state_dict().items():
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()


def digest_of(*several: object) -> str:
    """Return what stands for some values that JSON can hold: a SHA-256, hexadecimal."""
    return hashlib.sha256(json.dumps(several, sort_keys=True).encode()).hexdigest()


def _batches(samples: Iterable[Sample]) -> Iterator[list[Sample]]:
    batch: list[Sample] = []
    for sample in samples:
        batch.append(sample)
        height, width, _ = sample.picture.shape
        if len(batch) * height * width >= _PIXELS_AT_ONCE:
            yield batch
            batch = []
    if batch:
        yield batch


def _read(path: Path) -> dict[str, Any]:
    try:
        known: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return known


def _write(path: Path, about: Mapping[str, Any]) -> None:
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(about), encoding="utf-8")
