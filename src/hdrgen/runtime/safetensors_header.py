"""The header of a safetensors file, which the library writes in an order of its own."""

import json
from pathlib import Path


def sort_metadata(path: Path) -> None:
    """Put the metadata of a safetensors file in order, in place.

    The library keeps metadata in a hash table and writes them in another order each time, so the same weights with
    two entries make two different files. The format is: the length of the header in eight bytes, little endian; the
    header, JSON padded with spaces; the tensors, which stay where they are.
    """
    with path.open("r+b") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
        header["__metadata__"] = dict(sorted(header.get("__metadata__", {}).items()))
        text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
        if len(text) > length:
            raise ValueError(f"{path}: the header would grow from {length} to {len(text)} bytes")
        file.seek(8)
        file.write(text.ljust(length))
