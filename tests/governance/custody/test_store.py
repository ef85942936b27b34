"""What is written into the object store is there whole, or not at all."""

import socket
from typing import Any
from urllib.parse import urlsplit

import pytest

from governance.custody import store as stores
from governance.custody.blobs import CENTRAL_BUCKET
from governance.custody.store import ObjectStore, StoreError


class Killed(BaseException):
    """No `except` of ours, nor of the client library, catches it."""


@pytest.mark.parametrize("sent", [0, 1, 99])
@pytest.mark.parametrize("how", ["put", "put_once", "replace"])
def test_a_writer_killed_before_its_last_byte_leaves_the_key_as_it_was(store: ObjectStore, how: str, sent: int) -> None:
    """Between headers and body lies a moment in which a kill -9 would otherwise leave an empty object."""
    key, body = f"killed/{how}/{sent}", b"x" * 100
    args: tuple[str, ...] = ()
    if how == "replace":
        args = (store.put(CENTRAL_BUCKET, key, b"what was there").etag,)
    before = store.stat(CENTRAL_BUCKET, key)

    def send_in_part(request: Any, **_: Any) -> None:
        _send(request, sent)
        raise Killed

    store.client.meta.events.register("before-send.s3.PutObject", send_in_part)
    try:
        with pytest.raises(Killed):
            getattr(store, how)(CENTRAL_BUCKET, key, body, *args)
    finally:
        store.client.meta.events.unregister("before-send.s3.PutObject", send_in_part)
    assert store.stat(CENTRAL_BUCKET, key) == before
    getattr(store, how)(CENTRAL_BUCKET, key, body, *args)
    assert store.read(CENTRAL_BUCKET, key) == body


def test_what_can_be_deleted_is_and_all_that_could_not_be_is_told(
    store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store refuses two of five, one on each of the first two pages."""
    bucket, keys, refused = CENTRAL_BUCKET, [f"together/{number}" for number in range(5)], ("/1", "/2")
    monkeypatch.setattr(stores, "DELETED_AT_ONCE", 2)
    for key in keys:
        store.put(bucket, key, b"x")

    def keep(params: dict[str, Any], context: dict[str, Any], **_: Any) -> None:
        asked = params["Delete"]["Objects"]
        context["kept"] = [each["Key"] for each in asked if each["Key"].endswith(refused)]
        params["Delete"]["Objects"] = [each for each in asked if not each["Key"].endswith(refused)]

    def tell(parsed: dict[str, Any], context: dict[str, Any], **_: Any) -> None:
        parsed["Errors"] = [{"Key": key, "Code": "AccessDenied", "Message": "denied"} for key in context["kept"]]

    events = store.client.meta.events
    events.register("before-parameter-build.s3.DeleteObjects", keep)
    events.register("after-call.s3.DeleteObjects", tell)
    try:
        with pytest.raises(StoreError, match=f"2 objects could not be deleted, s3://{bucket}/.*/1: denied"):
            store.delete_all(bucket, keys)
    finally:
        events.unregister("before-parameter-build.s3.DeleteObjects", keep)
        events.unregister("after-call.s3.DeleteObjects", tell)
    assert [each.key for each in store.list(bucket, "together/")] == [keys[1], keys[2]]
    store.delete_all(bucket, keys)
    assert not list(store.list(bucket, "together/"))


def _send(request: Any, size: int) -> None:
    """The headers of a signed request and so many bytes of its body; returns when the server is done with it."""
    to = urlsplit(request.url)
    headers = {name: value.decode() if isinstance(value, bytes) else value for name, value in request.headers.items()}
    lines = [f"{request.method} {to.path} HTTP/1.1", f"Host: {to.netloc}"]
    lines += [f"{name}: {value}" for name, value in headers.items() if name != "Expect"]
    with socket.create_connection((to.hostname, to.port)) as server:
        server.sendall("\r\n".join([*lines, "", ""]).encode() + request.body.read(size))
        server.shutdown(socket.SHUT_WR)
        while server.recv(65_536):
            pass
