"""The variables of a template: the schema's defaults. What a template sees of them is tried in test_template and test_hostiletemplates."""

import pytest

from sendryd.message.templatesource import TemplateError
from sendryd.message.templatevalues import with_schema


def test_the_schema_gives_defaults_and_says_what_is_missing() -> None:
    schema = {"name": {"type": "string", "required": True}, "count": {"type": "number", "default": 3}}
    assert with_schema(schema, {"name": "x"}) == {"name": "x", "count": 3}
    assert with_schema(schema, {"name": 5, "other": 1}) == {"name": 5, "other": 1, "count": 3}
    with pytest.raises(TemplateError, match="name is required"):
        with_schema(schema, {"name": None})
    with pytest.raises(TemplateError, match="count is of another type"):
        with_schema(schema, {"name": "x", "count": "many"})
    assert with_schema(None, {"a": 1}) == {"a": 1}


def test_a_schema_that_is_none_is_left_alone() -> None:
    assert with_schema({"a": "string", "b": {"type": "nothing"}, "c": {"default": None}}, {"b": 1}) == {"b": 1}
