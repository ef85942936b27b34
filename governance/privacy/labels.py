"""The entities, what data sets call them, and the classes that the tagger tells apart."""

from typing import Literal

# All that a detector can say of a span. ID is the tagger's word for any of NUMBERS.
Entity = Literal[
    "PERSON", "EMAIL", "PHONE", "ADDRESS", "LOCATION", "ORGANIZATION", "NRP", "MRN", "ID", "ACCOUNT", "SSN", "CARD",
    "IBAN", "IP", "DEVICE", "URL", "USERNAME", "SECRET", "BIRTHDATE", "DATE", "AGE",
]  # fmt: skip

# Entity → what else it is called. Compared in capitals with `_` for a space or hyphen.
ENTITIES: dict[Entity, tuple[str, ...]] = {
    "PERSON": ("NAME", "PERSON_NAME", "PER"),
    "LOCATION": ("GPE", "LOC", "LOCATION_NAME", "CITY", "COUNTRY", "STATE"),
    "ADDRESS": ("STREET_ADDRESS", "ZIP_CODE", "POSTAL_CODE", "ZIP"),
    "ORGANIZATION": ("ORG", "ORGANIZATION_NAME", "ORGANISATION", "CORPORATION", "GROUP", "HOSPITAL"),
    "NRP": ("NATIONALITY", "ETHNICITY", "RELIGIOUS_BELIEF", "POLITICAL_OPINION"),
    "AGE": (),
    "DATE": ("DATE_TIME", "TIMESTAMP"),
    "BIRTHDATE": ("DATE_OF_BIRTH", "DOB"),
    "EMAIL": ("EMAIL_ADDRESS",),
    "PHONE": ("PHONE_NUMBER", "FAX"),
    "URL": ("DOMAIN_NAME",),
    "IP": ("IP_ADDRESS",),
    "SSN": ("US_SSN", "SOCIAL_SECURITY_NUMBER", "NATIONAL_ID_NUMBER", "TAX_ID"),
    "CARD": ("CREDIT_CARD", "CREDIT_CARD_NUMBER"),
    "IBAN": ("IBAN_CODE",),
    "MRN": ("MEDICAL_RECORD_NUMBER", "PRESCRIPTION_NUMBER"),
    "ACCOUNT": (
        *("US_DRIVER_LICENSE", "DRIVER_LICENSE_NUMBER", "PASSPORT_NUMBER", "BANK_ACCOUNT_NUMBER"),
        *("BANK_ROUTING_NUMBER",),
        *("NPI_NUMBER", "DEA_NUMBER", "HEALTH_INSURANCE_ID", "INSURANCE_POLICY_NUMBER", "EMPLOYEE_ID", "VISA_NUMBER"),
        *("SWIFT_BIC_CODE", "CRYPTOCURRENCY_ADDRESS", "LICENSE_PLATE", "BIOMETRIC_ID"),
    ),
    "USERNAME": ("SOCIAL_MEDIA_HANDLE",),
    "DEVICE": ("MAC_ADDRESS", "DEVICE_IDENTIFIER", "VEHICLE_IDENTIFICATION_NUMBER"),
    "SECRET": ("API_KEY", "AUTHENTICATION_TOKEN"),
}  # fmt: skip
_ENTITY = {alias: entity for entity, aliases in ENTITIES.items() for alias in (entity, *aliases)}

# Entities that the tagger does not tell apart: a number that somebody is known by.
NUMBERS = frozenset({"SSN", "CARD", "IBAN", "MRN", "ACCOUNT", "USERNAME", "DEVICE", "SECRET"})


def entity_of(label: str) -> str | None:
    """The entity that a data set calls `label`; None for what identifies nobody, as a drug or the title of a film."""
    return _ENTITY.get(label.upper().replace(" ", "_").replace("-", "_"))


def class_of(entity: str) -> str:
    """The tagger's class of an entity."""
    return "ID" if entity in NUMBERS else "DATE" if entity == "BIRTHDATE" else entity
