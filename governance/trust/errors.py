class TrustRefused(ValueError):
    """The trust repository, or what it says, cannot be trusted; the message says what and what to do."""


class NotVouched(TrustRefused):
    """What can be trusted says that the tenant does not stand for the release, or not any more."""


class TrustConflict(RuntimeError):
    """Others changed the trust repository again and again while this change was made; nothing of it holds."""
