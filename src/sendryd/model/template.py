"""Stored templates and their versions."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sendryd.model.apikey import KeyMode
from sendryd.model.ids import AccountId, TemplateId, TemplateVersionId


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateContent:
    """What a version keeps."""

    subject: str | None
    html: str | None
    text: str | None
    engine: str  # html, react, visual: how it was written; all are rendered alike
    variables: Mapping[str, Any] | None  # {name: {type, required?, default?}}
    blocks: Mapping[str, Any] | None  # the design that the HTML was compiled from


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """A template as it is rendered now."""

    id: TemplateId
    account_id: AccountId
    name: str
    content: TemplateContent
    created_at: datetime
    updated_at: datetime
    mode: KeyMode = KeyMode.LIVE  # TEST: a test key made it, and live mail cannot use it until a live key saves or publishes it


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateVersion:
    """A content that a template has or had."""

    id: TemplateVersionId
    template_id: TemplateId
    version: int  # from 1 on
    content: TemplateContent
    created_at: datetime
