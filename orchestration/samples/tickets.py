"""northbank's support tickets: what a customer wants, said with asides that are not meant."""

import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from orchestration.samples.people import Person
from orchestration.samples.wording import Sayings, say

INTENTS: dict[str, Sayings] = {
    "card-lost": (
        "I cannot find my {card} since {day}",
        "I left my {card} in a {place}",
        "my {card} is gone, please block it",
        "someone must have my {card}, it fell out of my bag in a {place}",
    ),
    "card-not-arrived": (
        "I still wait for the {card} you posted on {day}",
        "my new {card} never came by mail",
        "how long until the {card} I ordered gets here",
        "the replacement {card} has not been delivered",
    ),
    "card-declined": (
        "my {card} was refused at a {place}",
        "the {place} terminal turned down my {card}",
        "I could not pay {amount} with my {card}, it says not accepted",
        "every payment with my {card} fails since {day}",
    ),
    "pin-forgotten": (
        "I do not remember the four digits of my {card}",
        "I typed the wrong PIN three times at a {place}",
        "can you send the PIN of my {card} once more",
        "which code belongs to my {card}, I forgot it",
    ),
    "transfer-pending": (
        "the {amount} I sent on {day} has not reached the other side",
        "my transfer of {amount} is still being processed",
        "when will my {amount} payment to a friend go through",
        "money left my account on {day} but nobody has received it",
    ),
    "transfer-recall": (
        "I sent {amount} to a wrong account number",
        "please call back the {amount} that I transferred by mistake",
        "I mistyped the payee on {day} and want the transfer undone",
        "the {amount} went to a stranger because of my typo",
    ),
    "fee-disputed": (
        "why was I charged a {amount} fee on {day}",
        "I do not agree with the overdraft fee of {amount}",
        "my statement shows a service charge of {amount} that nobody explained",
        "take the {amount} maintenance fee back",
    ),
    "refund-missing": (
        "the {place} returned {amount} but I do not see it",
        "my refund of {amount} is not on the account",
        "a merchant says it paid me back on {day}, nothing came",
        "where is the {amount} that the {place} gave back",
    ),
    "fraud-charge": (
        "there is a {amount} payment at a {place} that was not me",
        "I did not authorise {amount} on {day}",
        "somebody used my {card} in a {place} while I was at home",
        "an unknown purchase of {amount} shows up on my {card}",
    ),
    "login-blocked": (
        "the app does not let me in since {day}",
        "my online access is locked after too many attempts",
        "I get no code on my phone when I sign in",
        "the website rejects my password although it is right",
    ),
    "address-change": (
        "I moved on {day}, please update where I live",
        "send letters to my new home from now on",
        "my street has changed, how do I tell you",
        "the address on my statements is not current",
    ),
    "loan-question": (
        "what would a loan of {amount} cost me a month",
        "can I borrow {amount} for a kitchen",
        "which interest do you take on a mortgage right now",
        "I want to pay my loan off early, is that possible",
    ),
    "exchange-rate": (
        "which rate do you use for {amount} in a foreign currency",
        "the conversion of my purchase in a {place} abroad looks off",
        "how much is {amount} in euros with you",
        "is it cheaper to change money before I travel on {day}",
    ),
    "account-closure": (
        "I want to end my account by {day}",
        "please shut my account and pay out {amount}",
        "how do I leave the bank for good",
        "cancel my account, I have another one now",
    ),
}
ASIDES = (
    "already settled: {said}",
    "not my question: {said}",
    "last month I wrote that {said}, that is done",
    "unlike my brother, who says {said}",
)
OPENERS = ("Hi,", "Hello,", "Good morning,", "Please help:", "Urgent:", "", "", "")
CARDS = ("card", "debit card", "credit card", "Visa", "Mastercard", "bank card")
PLACES = ("supermarket", "petrol station", "restaurant", "hotel", "bookshop", "pharmacy", "airport", "cafe")
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "3 May", "the 12th")
SIGNATURES = ("{name}", "This is {name}.", "Regards, {name}", "Write to {email}", "Call {phone}", "Thanks, {first}")
ASIDE_SHARE, SIGNED_SHARE, MISLABELLED_SHARE = 0.3, 0.25, 0.02


def tickets(rng: random.Random, persons: list[Person], rows: int) -> Iterator[dict[str, Any]]:
    """`rows` tickets, as the bank exports them."""
    start = datetime(2025, 9, 1)
    for _ in range(rows):
        person, intent = rng.choice(persons), rng.choice(list(INTENTS))
        yield {
            "customer_id": f"NB-{person.number}",
            "customer_name": person.name,
            "email": person.email,
            "gender": "female" if person.female else "male",
            "text": _text(rng, person, intent),
            "intent": rng.choice(list(INTENTS)) if rng.random() < MISLABELLED_SHARE else intent,
            "created_at": (start + timedelta(seconds=rng.randint(0, 120 * 86400))).isoformat() + "Z",
        }


def _text(rng: random.Random, person: Person, intent: str) -> str:
    gaps = {"card": CARDS, "place": PLACES, "day": DAYS, "amount": [f"${rng.randint(4, 2900)}"]}
    wish = say(rng, INTENTS, intent, gaps, (ASIDES, ASIDE_SHARE), joint=", ")
    signature = rng.choice(SIGNATURES) if rng.random() < SIGNED_SHARE else ""
    signature = signature.format(name=person.name, first=person.first, email=person.email, phone=person.phone)
    return " ".join(part for part in (rng.choice(OPENERS), f"{wish}.", signature) if part)
