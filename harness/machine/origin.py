"""Which runs this user began on this host: a seal on the manifest, made with a key of the user's.

A manifest says what is executed when its run goes on. One that comes from elsewhere, or was changed
since, has no seal of this key, and nothing of it is run unasked.
"""

import hashlib
import hmac
import os
import secrets
from pathlib import Path

import platformdirs

from harness.machine.host import name_hash
from harness.records.manifest import Manifest
from harness.safe import files

KEY_BYTES = 32
ENOUGH = 1_000  # bytes; the key's file has 65


def seal(manifest: Manifest) -> str | None:
    """The seal of a manifest, HMAC-SHA256; None where the user's folder cannot hold a key."""
    key = _key(make=True)
    return None if key is None else _seal(manifest, key)


def is_ours(manifest: Manifest) -> bool:
    """Sealed by this user on this host, and unchanged."""
    key = _key(make=False)
    if key is None or manifest.origin is None or manifest.host.get("name_hash") != name_hash():
        return False
    return hmac.compare_digest(manifest.origin, _seal(manifest, key))


def _seal(manifest: Manifest, key: bytes) -> str:
    """Of everything but the seal; what has its default may be left out, as older versions do."""
    # as it will be read: a field set after the model was made may hold tuples, or lack defaults
    read = Manifest.model_validate_json(manifest.model_dump_json())
    text = read.model_dump_json(exclude={"origin"}, exclude_defaults=True)
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def _key(*, make: bool) -> bytes | None:
    path = platformdirs.user_state_path("myad-bench", appauthor=False) / "key"
    try:
        if make and not path.exists():
            _make(path)
        key = bytes.fromhex(files.read(path, ENOUGH).decode())
    except (OSError, ValueError):
        return None
    return key if len(key) == KEY_BYTES else None


def _make(path: Path) -> None:
    """A new key that nobody else can read; the first of two processes wins."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = path.with_name(f".key.{secrets.token_hex(4)}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(secrets.token_hex(KEY_BYTES))
    try:
        os.link(temporary, path)
    except FileExistsError:
        pass
    finally:
        temporary.unlink()
