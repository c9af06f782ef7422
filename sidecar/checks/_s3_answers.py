"""What S3's answers mean: an error in the words of a result, and an object that was read back.

Pure but for the clock that an answer is compared with. The codes are those of
docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html and of the stores that speak S3's protocol.
"""

import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from email.utils import mktime_tz, parsedate_tz
from typing import Any, Final

from sidecar.checks._aws import botocore, botocore_parsers, status_and_code
from sidecar.core.check import CheckFailed, Reason
from sidecar.support.text import Redactor, one_line, show_age

MAX_SKEW: Final = 15 * 60.0
"""Seconds that S3 lets our clock differ from its own."""
STALE_AFTER: Final = 60.0
"""Seconds that an object read back may be older than our own PUT: the clocks of one store differ a little."""

Meaning = tuple[Reason, str]
Answer = Mapping[str, Any]

_MEANINGS: Final[Mapping[str, Meaning]] = {
    "AuthorizationHeaderMalformed": (Reason.AUTH, "the access key has no valid form"),
    "ExpiredToken": (Reason.AUTH, "the session token has expired"),
    "InvalidAccessKeyId": (Reason.AUTH, "it does not know the access key"),
    "InvalidToken": (Reason.AUTH, "the session token is not valid"),
    "InvalidTokenId": (Reason.AUTH, "the session token is not valid"),
    "RequestTimeTooSkewed": (Reason.AUTH, "our clock differs from its own"),
    "SignatureDoesNotMatch": (Reason.AUTH, "the secret does not belong to the access key"),
    "TokenRefreshRequired": (Reason.AUTH, "the session token has to be renewed"),
    "NoSuchAccessPoint": (Reason.NOT_FOUND, "there is no such access point"),
    "NoSuchBucket": (Reason.NOT_FOUND, "there is no such bucket"),
    "NoSuchKey": (Reason.CONTRACT, "the object that was just stored is not there"),
    "NotImplemented": (
        Reason.CONTRACT,
        "it cannot do that; a store that knows no checksums needs checksum: when_required",
    ),
    "QuotaExceeded": (Reason.UNAVAILABLE, "its quota is used up"),
    "RequestTimeout": (Reason.UNAVAILABLE, "it waited too long for the request"),
    "SlowDown": (Reason.UNAVAILABLE, "it gets too many requests"),
}
_REASONS: Final[Mapping[int, Reason]] = {
    401: Reason.AUTH,
    408: Reason.UNAVAILABLE,
    409: Reason.UNAVAILABLE,
    429: Reason.UNAVAILABLE,
}
"""What a status means, whoever answers with it."""
_HEAD: Final[Mapping[int, Meaning]] = {
    400: (Reason.AUTH, "HEAD is given no explanation; most often a token has expired"),
    404: (Reason.NOT_FOUND, "there is no such bucket"),
}
"""What a status means where S3 sends no code."""
_PERMISSIONS: Final[Mapping[str, str]] = {
    "PutObject": "s3:PutObject on the key",
    "GetObject": "s3:GetObject on the key",
    "HeadBucket": "s3:ListBucket on the bucket",
}
_ASKED: Final[Mapping[str, str]] = {
    "PutObject": "PUT of {key}",
    "GetObject": "GET of {key}",
    "HeadBucket": "HEAD",
}
_REDIRECTS: Final = frozenset(
    {"PermanentRedirect", "TemporaryRedirect", "Redirect", "IllegalLocationConstraintException"}
)
_REGION: Final = re.compile(r"[A-Za-z0-9-]{1,63}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """An answer that is no success."""

    operation: str
    """In AWS' words: PutObject, GetObject, HeadBucket."""
    status: int
    code: str = ""
    """S3's word for it; an answer to HEAD has none, and neither has one of somebody else."""
    message: str = ""
    region: str = ""
    """The region that the answer names."""
    clock: float | None = None
    """The time of the answer by the other side's clock, in seconds since the epoch."""

    @property
    def is_redirect(self) -> bool:
        """Whether the answer sends us somewhere else."""
        return 300 <= self.status < 400 or self.code in _REDIRECTS

    def names_other_region(self, region: str) -> bool:
        """Whether the answer says that the bucket is not in `region`: only 400 means that by naming one."""
        return self.status == 400 and self.region not in ("", region)


def meaning(refusal: Refusal, *, region: str, now: float) -> Meaning:
    """Return what an answer to a request signed for `region` at `now` means."""
    if refusal.is_redirect or refusal.names_other_region(region):
        return Reason.CONTRACT, _elsewhere(refusal, region)
    skew = 0.0 if refusal.clock is None else now - refusal.clock
    if refusal.code == "RequestTimeTooSkewed" or (refusal.status == 403 and abs(skew) > MAX_SKEW):
        return (
            Reason.AUTH,
            f"our clock is {show_age(abs(skew))} {'ahead of' if skew > 0 else 'behind'} its own",
        )
    if refusal.code in _MEANINGS:
        return _MEANINGS[refusal.code]
    return _by_status(refusal)


def _elsewhere(refusal: Refusal, region: str) -> str:
    if not refusal.region or refusal.region == region:
        return "a redirect: the bucket is in another region, or the endpoint is another one"
    return f"the bucket is in the region {refusal.region}, not in {region}"


def _by_status(refusal: Refusal) -> Meaning:
    if refusal.code.startswith("KMS."):
        return Reason.FORBIDDEN, refusal.message
    if refusal.status == 403:
        return Reason.FORBIDDEN, _permission(refusal)
    if refusal.code:
        return _reason(refusal.status, Reason.CONTRACT), refusal.message
    if refusal.operation == "HeadBucket" and refusal.status in _HEAD:
        return _HEAD[refusal.status]
    reason = _reason(refusal.status, Reason.PROTOCOL)
    return reason, "that is no answer of S3" if reason is Reason.PROTOCOL else ""


def _reason(status: int, otherwise: Reason) -> Reason:
    return Reason.UNAVAILABLE if status >= 500 else _REASONS.get(status, otherwise)


def _permission(refusal: Refusal) -> str:
    """Name the permission; AWS' own sentence names who lacks which one and why, KMS' among them."""
    needed = f"needs {_PERMISSIONS.get(refusal.operation, 'a permission')}"
    says_more = " " in refusal.message and refusal.message.rstrip(".").lower() != "access denied"
    return f"{needed}: {refusal.message}" if refusal.code and says_more else needed


@contextmanager
def answers_told_apart(target: str, *, key: str, region: str, redact: Redactor) -> Iterator[None]:
    """Turn what botocore makes of S3's answers into a `CheckFailed` about `target`.

    `redact` knows the credentials: an answer may repeat what was sent.

    Raises:
        CheckFailed: with the reason that the answer means.
    """
    try:
        yield
    except botocore.ClientError as error:
        refusal = _read(error, redact)
        reason, sentence = meaning(refusal, region=region, now=time.time())
        asked = _ASKED.get(refusal.operation, refusal.operation).format(key=key)
        answered = f"{target} answered {asked} with {refusal.status} {refusal.code}".rstrip()
        raise CheckFailed(reason, f"{answered}: {sentence}" if sentence else answered) from error
    except (botocore.FlexibleChecksumError, botocore.IncompleteReadError) as error:
        raise CheckFailed(
            Reason.CONTRACT, f"{target} gave back {key} with a wrong checksum or length"
        ) from error
    except botocore.BotoCoreError as error:
        raise CheckFailed(Reason.UNEXPECTED, f"{target}: {one_line(redact(str(error)))}") from error
    except (LookupError, ValueError, botocore_parsers.ResponseParserError) as error:
        raise CheckFailed(Reason.PROTOCOL, f"{target} answered what is not S3's") from error


def _read(error: Any, redact: Redactor) -> Refusal:
    status, code = status_and_code(error)
    headers = headers_of(error.response)
    details = error.response.get("Error", {})
    region = str(headers.get("x-amz-bucket-region") or details.get("Region") or "")
    return Refusal(
        operation=error.operation_name,
        status=status,
        code=redact(code),
        message=redact(str(details.get("Message") or "")),
        region=redact(region) if _REGION.fullmatch(region) else "",
        clock=clock_of(error.response),
    )


def headers_of(answer: Answer) -> Mapping[str, str]:
    """Return an answer's headers, their names in lower case."""
    headers: Mapping[str, str] = answer["ResponseMetadata"]["HTTPHeaders"]
    return headers


def clock_of(answer: Answer) -> float | None:
    """Return the time of an answer by the clock of the one who gave it; None where it tells none."""
    parsed = parsedate_tz(headers_of(answer).get("date", ""))
    with suppress(ValueError, OverflowError):
        return None if parsed is None else float(mktime_tz(parsed))
    return None


def is_same_object(stored: Answer, found: Answer) -> bool:
    """Whether what was found is what was stored: the same version, or where none are kept the same ETag."""
    if "VersionId" in stored and "VersionId" in found:
        return bool(stored["VersionId"] == found["VersionId"])
    return bool(stored["ETag"] == found.get("ETag"))


def is_older(found: Answer, *, than: Answer) -> bool:
    """Whether what was found was stored well before another object, by the store's own clock."""
    stored_at, found_at = clock_of(than), found.get("LastModified")
    if stored_at is None or found_at is None:
        return False
    return bool(found_at.timestamp() < stored_at - STALE_AFTER)
