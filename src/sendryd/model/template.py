"""Stored templates and their versions."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sendryd.model.apikey import KeyMode
from sendryd.model.ids import AccountId, TemplateId, TemplateVersionId


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateContent:
    """The content of one version."""

    subject: str | None
    html: str | None
    text: str | None
    engine: str  # html, react or visual: the editor; rendering is the same
    variables: Mapping[str, Any] | None  # {name: {type, required?, default?}}
    blocks: Mapping[str, Any] | None  # the design from which the HTML was compiled


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """A template with its present content."""

    id: TemplateId
    account_id: AccountId
    name: str
    content: TemplateContent
    created_at: datetime
    updated_at: datetime
    mode: KeyMode = KeyMode.LIVE  # TEST: a test key made it, and live mail cannot use it until a live key saves or publishes it


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateVersion:
    """One version of a template."""

    id: TemplateVersionId
    template_id: TemplateId
    version: int  # counted from 1
    content: TemplateContent
    created_at: datetime
