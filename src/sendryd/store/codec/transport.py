"""MTA-STS policies and rows of `sts_policy`; results of TLS sessions and rows of `tls_result`."""

import json
from datetime import date, timedelta
from typing import Any

from sendryd.model.domain import StsMode
from sendryd.policy.mtasts import StsPolicy
from sendryd.policy.tlsrpt import Failure, PolicyType, TlsResult
from sendryd.store.base import StoredStsPolicy
from sendryd.store.codec.reading import Row, row_of
from sendryd.store.codec.values import from_ms, read_object, to_json, to_ms


def sts_row(found: StoredStsPolicy) -> dict[str, Any]:
    """The columns of a policy."""
    policy = found.policy
    return {
        "domain": found.domain,
        "record_id": found.record_id,
        "mode": policy.mode.value,
        "mx": to_json(policy.mx),
        "max_age": policy.max_age,
        "fetched_at": to_ms(found.fetched_at),
        "expires_at": to_ms(found.fetched_at + timedelta(seconds=policy.max_age)),
    }


@row_of("sts_policy")
def read_sts(row: Row) -> StoredStsPolicy:
    """A policy. Raises `RowUnreadable`."""
    policy = StsPolicy(mode=StsMode(row["mode"]), mx=tuple(map(str, json.loads(row["mx"]))), max_age=row["max_age"])
    return StoredStsPolicy(domain=row["domain"], record_id=row["record_id"], policy=policy, fetched_at=from_ms(row["fetched_at"]))


def tls_result_row(day: date, result: TlsResult) -> dict[str, Any]:
    """The columns of a result, without the number of its sessions."""
    found = {
        "policy_type": result.policy_type.value,
        "policy": result.policy,
        "mx": result.mx,
        "failure": result.failure.value if result.failure else None,
        "host": result.host,
        "address": result.address,
    }
    return {"day": day.isoformat(), "domain": result.domain, "result": to_json(found)}


@row_of("tls_result")
def read_tls_result(row: Row) -> tuple[TlsResult, int]:
    """A result, and the number of its sessions. Raises `RowUnreadable`."""
    found = read_object(row["result"])
    result = TlsResult(
        domain=row["domain"],
        policy_type=PolicyType(found["policy_type"]),
        policy=tuple(map(str, found["policy"])),
        mx=tuple(map(str, found["mx"])),
        failure=None if found["failure"] is None else Failure(found["failure"]),
        host=str(found["host"]),
        address=str(found["address"]),
    )
    return result, int(row["number"])
