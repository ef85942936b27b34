"""The invented people of the example tenants. Each delivery has its own; a person has several records."""

import random
from dataclasses import dataclass
from datetime import date, timedelta

from faker import Faker

TODAY = date(2026, 1, 5)  # the day on which the example plays; the clock would make every day's deliveries differ


@dataclass(frozen=True)
class Person:
    number: int
    first: str
    last: str
    female: bool
    born: date
    email: str
    phone: str
    address: str
    ip: str

    @property
    def name(self) -> str:
        return f"{self.first} {self.last}"

    @property
    def age(self) -> int:
        return (TODAY - self.born).days * 100 // 36525


def people(seed: str, ordinal: int, count: int) -> list[Person]:
    """`count` people, half of them women; those of another `ordinal` have other numbers."""
    fake, rng = Faker("en_US"), random.Random(seed)
    fake.seed_instance(seed)
    return [_person(fake, rng, ordinal * 1_000_000 + 100_000 + i * 7, female=i % 2 == 0) for i in range(count)]


def _person(fake: Faker, rng: random.Random, number: int, female: bool) -> Person:
    first = fake.first_name_female() if female else fake.first_name_male()
    last = fake.last_name()
    return Person(
        number=number,
        first=first,
        last=last,
        female=female,
        born=TODAY - timedelta(days=rng.randint(18 * 366, 97 * 365)),
        email=f"{first}.{last}{number % 97}@{fake.free_email_domain()}".lower(),
        phone=f"({rng.randint(201, 989)}) {rng.randint(200, 999)}-{rng.randint(1000, 9999)}",
        address=f"{fake.street_address()}, {fake.city()}, {fake.state_abbr()} {fake.postcode()}",
        ip=fake.ipv4_public(),
    )
