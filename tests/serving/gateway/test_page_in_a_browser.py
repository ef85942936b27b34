"""The page at `/`, driven in headless Chromium: sign in, try a model, see its digest and region; dark, light, a phone.

With PICTURES set to a folder its pictures are kept there: docs/images/page*.png came that way.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.serving.browser import CHROMIUM, Browser, browser
from tests.serving.fleet import INTENTS, Fleet, Server, until

TEXT = "I lost my card on the train, please block it"
SHOWN = {"page": (900, 900, "light"), "page-dark": (900, 900, "dark"), "page-phone": (390, 1000, "light")}
BACKGROUND = "getComputedStyle(document.getElementById('text')).backgroundColor"

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")


@pytest.fixture
def gateway(make_fleet: Callable[[], Fleet], make_release: Callable[..., Path]) -> Iterator[tuple[Fleet, Server]]:
    fleet = make_fleet()
    fleet.put(f"{INTENTS}@1", make_release(f"{INTENTS}@1"))
    gateway, _ = servers = fleet.start("gateway", GATEWAY_REGION="mumbai"), fleet.start("worker")
    until(lambda: all(server.ready() for server in servers))
    yield fleet, gateway


@pytest.fixture
def page(gateway: tuple[Fleet, Server], tmp_path: Path) -> Iterator[Browser]:
    with browser(tmp_path / "profile") as tab:
        tab.tell("Page.navigate", url=gateway[1].url)
        tab.until("document.readyState === 'complete' && document.getElementById('ask')")
        yield tab


def put(page: Browser, field: str, value: str) -> None:
    """Type into a field as a person does."""
    page.run(f"document.getElementById('{field}').focus()")
    page.tell("Input.insertText", text=value)


def text_of(page: Browser, part: str) -> str:
    return str(page.run(f"document.getElementById('{part}').innerText"))


def test_a_person_signs_in_asks_and_sees_who_answered(gateway: tuple[Fleet, Server], page: Browser) -> None:
    fleet, _ = gateway
    put(page, "token", fleet.token("northbank"))
    page.run("document.querySelector('#begin button').click()")
    page.until("document.getElementById('session').innerText === 'signed in'")
    page.until("document.querySelectorAll('#models tr').length > 1")
    assert text_of(page, "models").split()[-1] == "min" and "northbank/support-intents" in text_of(page, "models")
    assert "stclare" not in text_of(page, "models")
    assert page.run("document.cookie") == "" and page.run("localStorage.length + sessionStorage.length") == 0

    page.run("document.getElementById('model').value = 'northbank/support-intents'")
    put(page, "text", TEXT)
    for asked in range(1, 6):
        page.run("document.querySelector('#ask button').click()")
        page.until(f"document.querySelector('#latency polyline').getAttribute('points').split(' ').length === {asked}")
    said = fleet.client(gateway[1], "northbank").post(
        "/v1/models/northbank/support-intents/infer", json={"input": TEXT}
    )
    answered = text_of(page, "answer")
    assert f"{INTENTS}@1 in mumbai, release digest {said.json()['digest']}" in answered
    assert f"{max(said.json()['results'][0]['scores'].values()):.4f}" in answered
    assert text_of(page, "took").endswith(" ms")

    page.run("document.activeElement.blur(), scrollTo(0, 0)")
    shades, pictures = {}, os.environ.get("PICTURES")
    for name, (width, height, scheme) in SHOWN.items():
        page.show(width, height, scheme)
        assert page.run("document.documentElement.scrollWidth <= window.innerWidth"), f"{name} scrolls sideways"
        shades[name] = page.run(BACKGROUND)
        if pictures:
            (Path(pictures) / f"{name}.png").write_bytes(page.picture())
    assert shades["page"] == shades["page-phone"] != shades["page-dark"]

    page.run("document.getElementById('end').click()")
    page.until("document.getElementById('session').innerText === 'signed out'")
    page.until("document.querySelectorAll('#models tr td').length === 0")


def test_a_wrong_token_is_told_and_nothing_is_listed(page: Browser) -> None:
    put(page, "token", "no-such-token")
    page.run("document.querySelector('#begin button').click()")
    page.until("document.getElementById('session').innerText")
    assert "token" in text_of(page, "session")
    assert page.run("document.querySelectorAll('#models td').length") == 0
