"""Forgetting a person: with the subject's key goes what was encrypted under it, in every copy and for ever."""

from pathlib import Path
from uuid import UUID

from governance.audit.acts import Act, RecordAct
from governance.privacy.subject_keys import destroy_key, keys_file


def forget(keys_dir: Path, tenant: str, subject: UUID, who: str, why: str, record: RecordAct) -> None:
    """Destroy the key of `subject`; `record` writes first into the audit log who approved it. Repeated, it holds.

    What is scrubbed of that subject afterwards gets tokens that nothing opens. Raises SubjectKeyError.
    """
    record(Act(what="erasure", who=who, why=why, tenant=tenant, subject=subject))
    destroy_key(keys_file(keys_dir, tenant), str(subject))
