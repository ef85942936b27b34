"""The schema between gateway and worker: what goes in comes out, anything else is named."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.messages import Malformed, Reply, Request, decode_reply, decode_request

REQUEST = Request(
    "id", "acme", "free", "acme.intents", ["x"], 12.5, 10.25, "replies", 3, "key", "f" * 32, "d" * 64, "00-a-b-01"
)
texts = st.text(st.characters(codec="utf-8"), max_size=40)


@given(st.lists(texts, max_size=4), texts, st.floats(0, 1e10))
def test_a_request_comes_out_as_it_went_in(said: list[str], key: str, deadline: float) -> None:
    request = dataclasses.replace(REQUEST, texts=said, idempotency=key, deadline=deadline)
    assert decode_request(*request.encode()) == request


@given(st.binary(max_size=40))
def test_a_reply_comes_out_as_it_went_in(body: bytes) -> None:
    reply = Reply("id", "refused", body, "d" * 64, 0.25, 1e-3)
    assert decode_reply(*reply.encode()) == reply


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"schema": b"2"}, "schema '2'; this side reads 1"),
        ({"schema": None}, "schema"),
        ({"tier": b"platinum"}, "platinum"),
        ({"deadline": b"soon"}, "soon"),
        ({"reply_partition": b"1.5"}, "1.5"),
        ({"id": b"\xff"}, "not UTF-8"),
        ({"fingerprint": None}, "fingerprint"),
    ],
)
def test_a_header_that_is_wrong_is_named(changed: dict[str, bytes | None], named: str) -> None:
    value, headers = REQUEST.encode()
    said = {**dict(headers), **changed}
    with pytest.raises(Malformed, match=named):
        decode_request(value, [(name, body) for name, body in said.items() if body is not None])


@pytest.mark.parametrize("value", [None, b"", b"{}", b"[]", b'{"texts": "x"}', b'{"texts": [1]}', b"\x00" * 9])
def test_a_value_that_holds_no_texts_is_malformed(value: bytes | None) -> None:
    with pytest.raises(Malformed):
        decode_request(value, REQUEST.encode()[1])
    with pytest.raises(Malformed):
        decode_reply(value, REQUEST.encode()[1])
