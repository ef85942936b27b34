"""The router: which of a tenant's live models should answer a prompt, under the company's policy, and why.

`vector = embed(prompt_head(text))`, then `route(vector, live models, policies.current())` ranks them on the CPU; the
first two are asked, and `pick` says whose answer is given. A plain library: it asks nobody and knows no HTTP.
"""

from governance.fairness.filter import Candidate
from serving.router.fingerprint import Fingerprint, FingerprintRefused
from serving.router.head import prompt_head
from serving.router.labels import ranked_labels
from serving.router.pick import ASKED, NobodyAnswered, Picked, pick
from serving.router.policy import Routing, UnknownPolicy
from serving.router.policy_file import Declaration, PolicyFile, PolicyRefused
from serving.router.route import Choice, LiveModel, NothingToChoose, Ranked, route

__all__ = [
    "ASKED",
    "Candidate",
    "Choice",
    "Declaration",
    "Fingerprint",
    "FingerprintRefused",
    "LiveModel",
    "NobodyAnswered",
    "NothingToChoose",
    "Picked",
    "PolicyFile",
    "PolicyRefused",
    "Ranked",
    "Routing",
    "UnknownPolicy",
    "pick",
    "prompt_head",
    "ranked_labels",
    "route",
]
