"""Whether the buffers of an Arrow message are compressed, read off its header, which pyarrow does not tell.

A header is a FlatBuffer (google.github.io/flatbuffers, "Binary format"): a table begins with the distance back to its
list of fields, whose entries are the places of fields, 0 for one that is not there. Arrow's `Message.fbs` has
header_type as the second and header as the third field of a message, and compression as the fourth of a record batch.
"""

from __future__ import annotations

import struct

_RECORD_BATCH, _DICTIONARY = 3, 2


def is_compressed(header: bytes) -> bool:
    """Whether a message holds a record batch with compressed buffers.

    Args:
        header: Its metadata.

    Returns:
        False for messages without buffers too.

    Raises:
        struct.error: It is damaged.
    """
    message = struct.unpack_from("<I", header)[0]
    kind = _field(header, message, 1)
    what = _field(header, message, 2)
    if kind is None or what is None:
        return False
    batch = _table(header, what)
    if header[kind] == _DICTIONARY:
        data = _field(header, batch, 1)
        if data is None:
            return False
        batch = _table(header, data)
    elif header[kind] != _RECORD_BATCH:
        return False
    return _field(header, batch, 3) is not None


def _table(header: bytes, place: int) -> int:
    """Where the table begins to which an offset leads."""
    return int(place + struct.unpack_from("<I", header, place)[0])


def _field(header: bytes, table: int, number: int) -> int | None:
    """Where a field of a table is, None where it is not there."""
    fields = table - struct.unpack_from("<i", header, table)[0]
    length = struct.unpack_from("<H", header, fields)[0]
    if 4 + 2 * number + 2 > length:
        return None
    place = struct.unpack_from("<H", header, fields + 4 + 2 * number)[0]
    return int(table + place) if place else None
