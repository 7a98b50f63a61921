"""Which columns of a table are images and labels, for tables of Arrow's kind: parquet files and those of `datasets`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, ValidationError

from benchbench.core.errors import InputError
from benchbench.core.reading import plain
from benchbench.core.validation import first_fault
from benchbench.data.pipeline.assemble import Labels


def contents(column: pa.Array) -> pa.Array:
    """The encoded images of a column that holds them, or structs of them."""
    return column.field("bytes") if pa.types.is_struct(column.type) else column


def image_column(schema: pa.Schema, file: Path) -> str:
    """The column of image bytes, as the path pyarrow reads."""
    paths = {}
    for field in schema:
        if pa.types.is_struct(field.type) and field.type.get_field_index("bytes") >= 0:
            if _is_binary(field.type.field("bytes").type):
                paths[field.name] = f"{field.name}.bytes"
        elif _is_binary(field.type):
            paths[field.name] = field.name
    named = [name for name in ("image", "img") if name in paths]
    if not named and len(paths) != 1:
        columns = ", ".join(f"{field.name} ({field.type})" for field in schema)
        raise InputError(
            f"{file} has {'more than one' if paths else 'no'} column of image bytes; it has {columns}; "
            "name the one with the encoded images (binary, or a struct with `bytes`) image"
        )
    return paths[named[0]] if named else next(iter(paths.values()))


def _is_binary(kind: pa.DataType) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def label_column(schema: pa.Schema) -> str | None:
    """The name of the column of labels, None where there is none."""
    return next((name for name in ("label", "labels") if name in schema.names), None)


def labels_of(column: pa.ChunkedArray, label: str, file: Path) -> Labels:
    """What stands in a column of labels; `InputError` where it is not one integer or text a row."""
    if not (pa.types.is_integer(column.type) or pa.types.is_string(column.type)):
        raise InputError(f"the column {label} of {file} is {column.type}; labels are integers or strings")
    if column.null_count:
        raise InputError(
            f"the column {label} of {file} is empty in {column.null_count} of {len(column)} rows"
        )
    values: list[Any] = column.to_pylist()
    return values


def class_names(schema: pa.Schema, label: str | None, file: Path) -> Sequence[str] | None:
    """Class names as Hugging Face's `datasets` keeps them in the schema, None if they are not there; `InputError` if
    something else is."""
    raw = (schema.metadata or {}).get(b"huggingface")
    if raw is None or label is None:
        return None
    try:
        info = HuggingFace.model_validate_json(raw).info
        return None if info is None or info.features is None else names_of(info.features.get(label))
    except ValueError as error:
        fault = first_fault(error) if isinstance(error, ValidationError) else None
        reason = str(error) if fault is None else ": ".join(filter(None, (fault.where, fault.reason)))
        raise InputError(
            f"what {file} says of its classes in Hugging Face's metadata cannot be read ({plain(reason)}); "
            "write it again, or without this metadata"
        ) from error


class Info(BaseModel):
    """features: by column."""

    features: dict[str, Any] | None = None


class HuggingFace(BaseModel):
    """What `datasets` writes beside a schema, as far as it is read here."""

    info: Info | None = None


class ClassLabel(BaseModel):
    """A feature of a column of labels; others have no names. names: by label."""

    model_config = ConfigDict(strict=True)

    names: list[str] | None = None


def names_of(feature: Any) -> Sequence[str] | None:
    """The names of a feature; ValueError where they cannot be told apart."""
    names = None if feature is None else ClassLabel.model_validate(feature).names
    if names is not None and (len(set(names)) < len(names) or not all(names)):
        raise ValueError("the names of its classes are empty or not distinct")
    return names
