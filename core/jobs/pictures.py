"""Pictures by content, and who needs them: one is stored once, and goes when nobody needs it any more.

Who needs a picture is a job, or an owner who uploaded it. An owner sees a picture for as long as anything
of theirs needs it, and no longer; that somebody else has sent the same one, they cannot tell.

A picture is known from when its file is stored until nobody needs it. While a file is taken away, whoever begins
to need the picture waits until it is gone, and stores it anew: a mark in Redis stands for that while.
"""

import re
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final, cast

from redis import Redis

from core.jobs.artifacts import ArtifactStore, left_for_upkeep
from core.jobs.connections import answered
from core.jobs.errors import ArtifactsFull, ArtifactsUnavailable, PictureInUse, PictureNotFound, QuotaExceeded
from core.jobs.intake import CheckedPicture
from core.jobs.record import Picture
from core.jobs.stored import CHARGE, CHARGES, SUMS

UPLOADS: Final = "strata:uploads"
"""Uploads by the time they expire, milliseconds since 1970; each is a picture's id, a space and its owner."""

_USES: Final = "strata:uses:"
_USERS: Final = "strata:users:"
_UPLOAD: Final = "upload"
_ID: Final = re.compile(r"sha256:[0-9a-f]{64}")

_GOING_SECONDS: Final = 30
"""Whoever takes a file away and dies holds others up for so long."""
_LOOK_SECONDS: Final = 0.005
_ROOM_SECONDS: Final = 3600
"""Until room may have come by itself: pictures are kept for days."""

# KEYS: those of an owner who need the picture, the owners, the picture, the mark of its going, then as in `stored`.
# ARGV: who needs it, owner, whether it is to be known already, the picture, its bytes or '', most of them for the
# owner, for all.
# Answers kept | going | unknown | quota | full.
_KEEP: Final = (
    CHARGE
    + """
if redis.call('EXISTS', KEYS[4]) == 1 then return 'going' end
local known = redis.call('HGET', KEYS[3], 'bytes')
if ARGV[3] == '1' and redis.call('EXISTS', KEYS[3]) == 0 then return 'unknown' end
local bytes = tonumber(ARGV[5]) or tonumber(known or '') or 0
local refused = over(ARGV[2], ARGV[4], bytes, ARGV[6], ARGV[7])
if refused then return refused end
charge(ARGV[2], ARGV[4], bytes)
redis.call('SADD', KEYS[1], ARGV[1])
redis.call('SADD', KEYS[2], ARGV[2])
return 'kept'
"""
)

# KEYS: as above. ARGV: who needs it no more, owner, for how many seconds it may be going, the picture.
# Answers 1 when nobody is left and nobody else is at it: its file is to be taken away, and then the mark.
_RELEASED: Final = """
local function released(needed_by, owner, seconds, picture)
  redis.call('SREM', KEYS[1], needed_by)
  if redis.call('EXISTS', KEYS[1]) == 0 then
    redis.call('SREM', KEYS[2], owner)
    credit_owner(owner, picture)
  end
  if redis.call('EXISTS', KEYS[2]) == 1 then return 0 end
  credit_all(picture)
  redis.call('DEL', KEYS[3])
  return redis.call('SET', KEYS[4], 1, 'EX', seconds, 'NX') and 1 or 0
end
"""
_RELEASE: Final = CHARGE + _RELEASED + "return released(ARGV[1], ARGV[2], ARGV[3], ARGV[4])"

# KEYS: as above, the uploads. ARGV: as above, which one, until when it may have been over to go.
# As above; but one that was made again meanwhile stays.
_EXPIRE: Final = (
    CHARGE
    + _RELEASED
    + """
local ends = redis.call('ZSCORE', KEYS[7], ARGV[5])
if ends and tonumber(ends) > tonumber(ARGV[6]) then return 0 end
redis.call('ZREM', KEYS[7], ARGV[5])
return released(ARGV[1], ARGV[2], ARGV[3], ARGV[4])
"""
)

# As above, whenever it would have been over. Answers -1 when nothing of the owner's needs it, -2 when a job does.
_DELETE: Final = (
    CHARGE
    + _RELEASED
    + """
local needed = redis.call('SCARD', KEYS[1])
if needed == 0 then return -1 end
if needed > redis.call('SISMEMBER', KEYS[1], ARGV[1]) then return -2 end
redis.call('ZREM', KEYS[7], ARGV[5])
return released(ARGV[1], ARGV[2], ARGV[3], ARGV[4])
"""
)


@dataclass(frozen=True)
class Upload:
    """A picture that was uploaded, and when it goes unless a job needs it then."""

    picture: Picture
    expires_at: datetime


class Pictures:
    """Safe to share between threads. Every method raises StoreUnavailable when Redis does not answer."""

    def __init__(self, redis: Redis, artifacts: ArtifactStore, *, keep_seconds: float, max_bytes: int = 0) -> None:
        """`keep_seconds`: how long an upload is kept. `max_bytes`: that may be stored in all; 0 for any number."""
        self._max_bytes = max_bytes
        self._redis = redis
        self._artifacts = artifacts
        self._keep_for = timedelta(seconds=keep_seconds)
        self._keep = redis.register_script(_KEEP)
        self._release = redis.register_script(_RELEASE)
        self._expire = redis.register_script(_EXPIRE)
        self._delete = redis.register_script(_DELETE)

    def find(self, picture_id: str, owner: str | None) -> Picture:
        """Raises PictureNotFound."""
        if not _ID.fullmatch(picture_id):
            raise PictureNotFound(picture_id)
        uses, _, about, *_ = _keys(picture_id, owner)
        pipe = self._redis.pipeline(transaction=False)
        pipe.exists(uses)
        pipe.hmget(about, "width", "height")
        seen, (width, height) = cast(Any, answered(pipe.execute))
        if not seen or width is None:
            raise PictureNotFound(picture_id)
        return Picture(id=picture_id, width=int(width), height=int(height))

    def keep(
        self,
        picture: Picture,
        png: bytes | None,
        owner: str | None,
        needed_by: str,
        *,
        max_own_bytes: int | None = None,
    ) -> None:
        """Note who needs it, and store it unless it is there.

        `png` is None for one that was found before; raises PictureNotFound if it has gone since, ArtifactsUnavailable;
        QuotaExceeded when the owner would have more stored than `max_own_bytes`, ArtifactsFull when all would have too
        much.
        """
        keys = _keys(picture.id, owner)
        size = "" if png is None else len(png)
        args = (needed_by, owner or "", int(png is None), picture.id, size, max_own_bytes or 0, self._max_bytes)
        while (said := answered(lambda: self._keep(keys=keys, args=args))) == b"going":
            time.sleep(_LOOK_SECONDS)
        if said == b"unknown":
            raise PictureNotFound(picture.id)
        if said == b"quota":
            raise QuotaExceeded(
                f"Your key may have {(max_own_bytes or 0) / 1e6:g} MB of pictures stored; delete jobs or pictures that"
                " you need no more.",
                _ROOM_SECONDS,
            )
        if said == b"full":
            raise ArtifactsFull(f"it has {self._max_bytes / 1e6:g} MB, as many as may be stored")
        if png is not None:
            self._artifacts.put_input(png)
            about = {"width": picture.width, "height": picture.height, "bytes": len(png)}
            answered(lambda: self._redis.hset(keys[2], mapping=cast(Any, about)))

    def release(self, picture_ids: Iterable[str], owner: str | None, needed_by: str) -> None:
        """Note that it is needed no more, and forget what nobody needs. Idempotent."""
        for picture_id in dict.fromkeys(picture_ids):
            keys = _keys(picture_id, owner)
            args = (needed_by, owner or "", _GOING_SECONDS, picture_id)
            if answered(partial(self._release, keys=keys, args=args)):
                self._take_away(picture_id)

    def upload(self, checked: CheckedPicture, owner: str | None, *, max_own_bytes: int | None = None) -> Upload:
        """Keep a picture for an owner; again is for longer. Raises ArtifactsUnavailable, QuotaExceeded."""
        expires = datetime.now(UTC) + self._keep_for
        member = f"{checked.id} {owner or ''}"
        # Before the file is there: whoever dies in between leaves nothing that nobody takes away some day.
        first = answered(lambda: self._redis.zadd(UPLOADS, {member: int(expires.timestamp() * 1000)}))
        try:
            self.keep(checked.picture, checked.png, owner, _UPLOAD, max_own_bytes=max_own_bytes)
        except (ArtifactsUnavailable, QuotaExceeded):
            if first:
                self._forget_upload(member, expires)
            raise
        return Upload(checked.picture, expires)

    def delete(self, picture_id: str, owner: str | None) -> None:
        """Forget an upload before its time. Raises PictureNotFound, PictureInUse while a job of theirs needs it."""
        if not _ID.fullmatch(picture_id):
            raise PictureNotFound(picture_id)
        match answered(
            lambda: self._delete(keys=_upload_keys(picture_id, owner), args=_upload_args(picture_id, owner))
        ):
            case -1:
                raise PictureNotFound(picture_id)
            case -2:
                raise PictureInUse(picture_id)
            case 1:
                self._take_away(picture_id)

    def tidied(self, picture_id: str) -> bool:
        """Forget a file that nobody needs; whether nobody does."""
        if answered(lambda: self._redis.exists(f"{_USERS}{picture_id}")):
            return False
        self.release([picture_id], None, "")
        return True

    def uses(self) -> Iterator[tuple[str, str | None, str]]:
        """Each picture, its owner and what needs it, while others may come and go."""
        for key in self._redis.scan_iter(f"{_USES}*", count=500):
            kind, digest, owner = key.decode().removeprefix(_USES).split(":", 2)
            for needed_by in cast(set[bytes], answered(partial(self._redis.smembers, key))):
                yield f"{kind}:{digest}", owner or None, needed_by.decode()

    def expire(self, now: datetime, limit: int = 100) -> int:
        """Forget uploads whose time is over; how many there were."""
        until = int(now.timestamp() * 1000)
        due = cast(list[bytes], answered(lambda: self._redis.zrangebyscore(UPLOADS, "-inf", until, 0, limit)))
        for member in due:
            self._forget_upload(member.decode(), now)
        return len(due)

    def _forget_upload(self, member: str, now: datetime) -> None:
        """Unless it was made again to last longer than until now."""
        picture_id, _, owner = member.partition(" ")
        args = (*_upload_args(picture_id, owner), int(now.timestamp() * 1000))
        if answered(lambda: self._expire(keys=_upload_keys(picture_id, owner), args=args)):
            self._take_away(picture_id)

    def _take_away(self, picture_id: str) -> None:
        """The file of a picture that is marked as going, and then the mark."""
        with left_for_upkeep(f"picture {picture_id}"):
            self._artifacts.delete_input(picture_id)
        answered(lambda: self._redis.delete(_keys(picture_id, None)[3]))


def _keys(picture_id: str, owner: str | None) -> tuple[str, ...]:
    about = f"strata:picture:{picture_id}"
    uses, users = f"{_USES}{picture_id}:{owner or ''}", f"{_USERS}{picture_id}"
    return uses, users, about, f"{about}:going", CHARGES, SUMS


def _upload_keys(picture_id: str, owner: str | None) -> tuple[str, ...]:
    return (*_keys(picture_id, owner), UPLOADS)


def _upload_args(picture_id: str, owner: str | None) -> tuple[str | int, ...]:
    return _UPLOAD, owner or "", _GOING_SECONDS, picture_id, f"{picture_id} {owner or ''}"
