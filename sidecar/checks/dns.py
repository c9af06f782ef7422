"""Looks up a name, past every cache of ours, and compares the answer if one is expected.

Without a `record` it asks for addresses as an app does: in `/etc/hosts` first, then in the DNS with the search
domains of `resolv.conf`. With a `record` (`A`, `AAAA`, `CNAME`, `MX`, `SRV`, `TXT`) it asks the DNS alone,
with the search domains. With a `server` it asks that one alone, for the name as it stands.

Down means that the name does not exist or has no such record (`not_found`), that no server answers
(`timeout`; `refused` where nothing listens), that the server itself fails (`unavailable`), or that an answer
is missing which `expect` lists (`contract`): every one that is listed must be there, and others may be.
Answers are written as `2001:db8::1`, `www.example.com`, `10 mail.example.com` (MX), `0 5 5432 db.example.com`
(SRV: priority, weight, port, target), or as the text.

Permissions: none; a NetworkPolicy must allow port 53, UDP and TCP.
Reasons that waiting does not cure: none, for a headless Service has no addresses before its pods are ready.

```yaml
- name: database-name
  type: dns
  hostname: db.internal.example.com
  record: CNAME
  expect: [db-7.internal.example.com]
  gates: startup
```
"""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import ip_address
from typing import Annotated, Any, Final

import pycares
from pycares import AresError

from sidecar.config.check import CheckConfig, CheckType, option
from sidecar.config.fields import Host, Label, Port
from sidecar.config.problems import Mistake
from sidecar.config.shape import OneOrMany
from sidecar.core.check import CheckFailed, Reason
from sidecar.support.resolver import Resolver
