"""What can be set in ``params.yaml``: the settings of a section, as its class declares them."""

import ast
import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from textwrap import dedent
from typing import Any, get_args, get_origin

from hdrgen.runtime.params import Section

_BOUNDS = {"minimum": ">=", "exclusiveMinimum": ">", "maximum": "<=", "exclusiveMaximum": "<"}


@dataclass(frozen=True)
class Setting:
    """One setting. ``default`` and ``value`` are as JSON has them.

    Parameters
    ----------
    name
        Where it stands: ``train_bit_depth.network.widths``. What a person names stands there as ``<name>``.
    about
        Its sentence: the docstring under it.
    kind
        Its type and range in words.
    is_required
        It has no default.
    value
        What the parameter file makes it; its default where it says nothing, or there is no file.
    """

    name: str
    about: str
    kind: str
    is_required: bool
    default: Any
    value: Any


def settings_of(name: str, section: type[Section], read: Section | None = None) -> Iterator[Setting]:
    """Yield all settings of a section and of the sections in it, in the order of the class.

    Parameters
    ----------
    name
        The section's name.
    section
        Its class.
    read
        The section as it was read, of which settings have their values.
    """
    schema = section.model_json_schema()
    defaults = {key: field["default"] for key, field in schema["properties"].items() if "default" in field}
    values = defaults if read is None else read.model_dump(mode="json")
    for key, field in section.model_fields.items():
        place = f"{name}.{key}"
        if (inner := _section(field.annotation)) is not None:
            yield from settings_of(place, inner, None if read is None else getattr(read, key))
            continue
        yield Setting(
            place,
            _about(section, key),
            _kind(schema["properties"][key]),
            key not in defaults,
            defaults.get(key),
            values.get(key),
        )
        named = get_args(field.annotation)[-1] if get_origin(field.annotation) is dict else None
        if (inner := _section(named)) is not None:
            yield from settings_of(f"{place}.<name>", inner)


def _section(annotation: Any) -> type[Section] | None:
    return annotation if isinstance(annotation, type) and issubclass(annotation, Section) else None


def _about(section: type[Section], key: str) -> str:
    """Return the sentence under a setting; one that is declared anew with another default has that of the base."""
    bases = [base for base in section.__mro__ if issubclass(base, Section) and base is not Section]
    return next((sentence for base in bases if (sentence := _sentences(base).get(key))), "")


@cache
def _sentences(section: type[Section]) -> dict[str, str]:
    """Return the docstring under each setting that a class itself declares."""
    (body,) = ast.parse(dedent(inspect.getsource(section))).body
    assert isinstance(body, ast.ClassDef)
    sentences = {}
    for setting, below in pairwise(body.body):
        match setting, below:
            case ast.AnnAssign(target=ast.Name(id=key)), ast.Expr(value=ast.Constant(value=str() as text)):
                sentences[key] = inspect.cleandoc(text).replace("\n", " ")
    return sentences


def _kind(field: Mapping[str, Any]) -> str:
    """Return a JSON schema in words: ``integer >= 1``, ``cpu | cuda``, ``list of number``."""
    if "anyOf" in field:
        return " or ".join(map(_kind, field["anyOf"]))
    if "enum" in field:
        return " | ".join(field["enum"])
    if "const" in field:
        return str(field["const"])
    match field:
        case {"prefixItems": several}:
            kind = f"[{', '.join(map(_kind, several))}]"
        case {"items": one}:
            kind = f"list of {_kind(one)}"
        case {"type": "object", "additionalProperties": {} as one}:
            kind = f"{_kind(one)} for each name"
        case {"type": "object"}:
            kind = "anything by name"
        case {"type": "string"}:
            kind = field.get("format", "text")
        case {"type": plain}:
            kind = " ".join([plain, *_bounds(field)])
        case _:
            kind = "section"
    return str(kind)


def _bounds(field: Mapping[str, Any]) -> list[str]:
    bounds = [f"{sign} {field[key]:g}" for key, sign in _BOUNDS.items() if key in field]
    multiple = [f"a multiple of {field['multipleOf']}"] if "multipleOf" in field else []
    listed = ", ".join([*bounds, *multiple])
    return [listed] if listed else []
