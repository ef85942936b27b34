"""stclare's triage notes: who came with what, and what was noted but is not so. PII stands in the text."""

import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from orchestration.samples.people import TODAY, Person
from orchestration.samples.wording import Sayings, say

URGENCIES: dict[str, Sayings] = {
    "emergency": (
        "Crushing chest pain into the {side} arm for {minutes} minutes, sweating.",
        "Facial droop and slurred speech, weak {side} arm, began {minutes} minutes ago.",
        "Cannot finish sentences, oxygen saturation 84 percent, lips blue.",
        "Throat and tongue swelling {minutes} minutes after a {food}, hoarse.",
        "Found unresponsive, seizing for {minutes} minutes, still drowsy.",
        "Bright red blood from the {side} thigh that does not stop, pulse 140, pale.",
        "Sudden thunderclap headache and vomiting, stiff neck.",
    ),
    "urgent": (
        "Fever of 39.6 with rigors for {days} days, heart rate 118.",
        "Pain in the lower {side} abdomen with vomiting for {days} days, guarding.",
        "Black stools for {days} days, dizzy on standing.",
        "Colicky {side} flank pain, cannot sit still, blood in urine.",
        "Hot, swollen {side} calf after a long flight, painful to press.",
        "Says that life has no point since {days} days, has pills at home, feels unsafe.",
        "Fell on the {side} hip, leg shortened and turned out, cannot stand.",
    ),
    "semi-urgent": (
        "Twisted the {side} ankle {days} days ago, swollen, walks with a limp.",
        "{Side} ear ache and 38.2 for {days} days, drinks well.",
        "Burning on urination for {days} days, no fever.",
        "Cut to the {side} index finger with a kitchen knife, bleeding stopped.",
        "Usual migraine since {days} days, tablets do not help.",
        "Itchy rash on both arms for {days} days after a {food}, breathing fine.",
        "Tooth ache on the {side} for {days} days, cheek slightly swollen.",
    ),
    "routine": (
        "Asks for a repeat of blood pressure tablets, feels well.",
        "Stitches of the {side} knee to be removed, wound dry.",
        "Needs a sick note for work, cold is better since {days} days.",
        "Runny nose for {days} days, eats and drinks, no fever.",
        "Wants the flu vaccination and a look at a wart on the {side} foot.",
        "Lost the referral letter for the {side} knee, asks for a copy.",
        "Dressing change of an old burn on the {side} hand, healing.",
    ),
}
ASIDES = (
    "Last year, resolved: {said}",
    "Relative, not the patient: {said}",
    "Asked and denied: {said}",
    "Entered for another patient by mistake: {said}",
)
SIDES, FOODS = ("left", "right"), ("prawn dish", "peanut biscuit", "new soap", "wasp sting", "dose of antibiotics")
CONTACTS = (
    "Daughter reachable at {phone}.",
    "Lives at {address}.",
    "Contact {email}.",
    "DOB {born}, MRN {mrn}.",
    "Call {phone} with results.",
    "Brought in by {other}.",
    "Dr. {doctor} informed.",
)
ASIDE_SHARE, CONTACT_SHARE, MISLABELLED_SHARE = 0.32, 0.55, 0.02


def notes(rng: random.Random, persons: list[Person], rows: int) -> Iterator[dict[str, Any]]:
    """`rows` triage notes, as the hospital exports them."""
    for _ in range(rows):
        person, urgency = rng.choice(persons), rng.choice(list(URGENCIES))
        told = rng.choice(list(URGENCIES)) if rng.random() < MISLABELLED_SHARE else urgency
        yield {
            "mrn": f"{person.number:08d}",
            "patient_name": person.name,
            "date_of_birth": person.born.isoformat(),
            "sex": "F" if person.female else "M",
            "note": _note(rng, person, rng.choice(persons), urgency),
            "urgency": told,
        }


def _note(rng: random.Random, person: Person, other: Person, urgency: str) -> str:
    side = rng.choice(SIDES)
    gaps = {"minutes": [str(rng.randint(5, 90))], "days": [str(rng.randint(2, 9))], "food": FOODS}
    gaps |= {"side": [side], "Side": [side.title()]}
    text = say(rng, URGENCIES, urgency, gaps, (ASIDES, ASIDE_SHARE), joint=" ")
    title, sex = ("Ms", "woman") if person.female else ("Mr", "man")
    opening = rng.choice(
        (
            f"{person.age}-year-old {sex}, {person.name}.",
            f"{title} {person.last}, {person.age} y/o {sex}.",
            f"Pt {person.name}, MRN {person.number:08d}.",
            f"{sex.title()}, {person.age}, arrived {_arrival(rng)}.",
        )
    )
    parts = [opening, text]
    if rng.random() < CONTACT_SHARE:
        parts.append(
            rng.choice(CONTACTS).format(
                phone=other.phone,
                address=person.address,
                email=person.email,
                born=person.born.strftime("%m/%d/%Y"),
                mrn=f"{person.number:08d}",
                other=other.name,
                doctor=other.last,
            )
        )
    return rng.choice((" ", " ", " ", "\n")).join(parts)


def _arrival(rng: random.Random) -> str:
    moment = datetime(TODAY.year, TODAY.month, TODAY.day) - timedelta(minutes=rng.randint(0, 90 * 1440))
    return moment.strftime("%m/%d at %H:%M")
