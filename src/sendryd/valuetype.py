"""`dataclass` for the values that are made for every message: frozen for the type checker, an ordinary dataclass at run time.

A dataclass that is frozen at run time sets each of its fields by a call. A message on its way through makes some thirty values with two
hundred fields, and these calls were a twentieth of a message's cost. Assignments to fields are still refused: by mypy.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dataclasses import dataclass as valuetype
else:
    from dataclasses import dataclass

    def valuetype(*, frozen: bool, **options: Any) -> Any:
        """As `dataclass`, with `frozen=True`. Values can be compared and hashed, as frozen ones are."""
        if not frozen:
            raise TypeError("a value type is frozen")
        return dataclass(unsafe_hash=True, **options)


__all__ = ["valuetype"]
