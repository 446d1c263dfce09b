"""The organisational domain of a domain, by the public suffix list that the `publicsuffixlist` package ships."""

from functools import cache

from publicsuffixlist import PublicSuffixList


@cache
def _suffixes() -> PublicSuffixList:
    return PublicSuffixList()  # loaded when first needed: 15,000 rules


def organisational_domain(name: str) -> str:
    """The organisational domain of a domain (RFC 7489 §3.2); the name itself for a public suffix. The name is in A-labels, lower case."""
    return _suffixes().privatesuffix(name) or name


def is_suffix(name: str) -> bool:
    """Whether others register domains below a name, as below `co.uk`. An ending that no list knows is none, so that inner names work."""
    return _suffixes().publicsuffix(name, accept_unknown=False) == name
