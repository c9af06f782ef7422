"""A record as a store keeps it: JSON, the same in every version of ours that can read it."""

import dataclasses
import json
from collections.abc import Mapping
from typing import Any, Final

from sidecar.core.deploy import Delivery, Deploy, DeployEvent, Fact, FailedCheck, Progress, Record
from sidecar.deploys._kept import read_moment, read_receipt
from sidecar.deploys.claims.claim import ClaimError

FORMAT: Final = 1


def write_record(record: Record) -> str:
    """Return the text of a record."""
    body = {
        "format": FORMAT,
        "deploy": dataclasses.asdict(record.deploy),
        "facts": [_told(fact) for fact in record.facts],
        "deliveries": [[each.service, each.event, each.progress] for each in record.deliveries],
        "receipts": {service: dict(receipt) for service, receipt in record.receipts.items()},
        "courier": record.courier,
        "courier_until": record.courier_until,
    }
    return json.dumps(body, separators=(",", ":"))


def read_record(text: str) -> Record:
    """Return the record that a text holds.

    Raises:
        ClaimError: it is none of ours, or of another format.
    """
    try:
        return _read(json.loads(text))
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise ClaimError("holds something that is no record of ours") from error


def _told(fact: Fact) -> dict[str, Any]:
    failures = [[each.name, each.reason, each.message] for each in fact.failures]
    return {
        "event": fact.event,
        "time": fact.time,
        "pod": fact.pod,
        "failures": failures,
        "unnamed": fact.unnamed,
    }


def _read(body: Mapping[str, Any]) -> Record:
    if body["format"] != FORMAT:
        raise ValueError("of another format")
    return Record(
        deploy=_deploy(body["deploy"]),
        facts=tuple(_fact(each) for each in body["facts"]),
        deliveries=tuple(
            Delivery(str(service), DeployEvent(event), Progress(progress))
            for service, event, progress in body["deliveries"]
        ),
        receipts={str(service): read_receipt(receipt) for service, receipt in body["receipts"].items()},
        courier=str(body["courier"]),
        courier_until=read_moment(body["courier_until"]),
    )


def _deploy(body: Mapping[str, Any]) -> Deploy:
    return Deploy(**{each.name: _name(body[each.name]) for each in dataclasses.fields(Deploy)})


def _fact(body: Mapping[str, Any]) -> Fact:
    return Fact(
        event=DeployEvent(body["event"]),
        time=read_moment(body["time"]),
        pod=str(body["pod"]),
        failures=tuple(FailedCheck(*map(str, each)) for each in body["failures"]),
        unnamed=int(body["unnamed"]),
    )


def _name(value: Any) -> str:
    name = str(value)
    name.encode()  # raises for half of a character, which JSON can hold, and a service cannot be told
    return name
