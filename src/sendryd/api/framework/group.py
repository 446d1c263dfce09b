"""A group of operations in the description: its tag, and what stands in the paths of its operations. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class PathParameter:
    """What stands in a path."""

    description: str
    example: str
    noun: str  # what a 404 says is not there


def public_id(what: str, prefix: str, noun: str) -> PathParameter:
    """The public id of something: `public_id("an email", "em")`."""
    return PathParameter(f"The id of {what}: `{prefix}_` and 13 letters and digits.", f"{prefix}_0c2w5k9mzq4xg", noun)


@dataclass(frozen=True, slots=True)
class Group:
    """Declared where the first operation of a resource is; resources that belong together share one."""

    name: str
    description: str
    parameters: Mapping[str, PathParameter] = field(default_factory=dict)  # by the segment before the parameter
