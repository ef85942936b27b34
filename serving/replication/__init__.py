"""Replication: one process a region that follows the live pointers, and lets nothing answer that it did not verify.

    trust refresh → resolve pointers → fetch what is missing → stage → verify → fsync → rename → verify again
      → try in the shadow → switch → probe → say so, signed → watch

It pulls: nobody writes to a region. Whatever it cannot do, the region goes on answering with what it had.

    <root>/trusted/     the root of trust that the region was given, the trust repository as last seen, release keys
    <root>/downloads/   what is being fetched, by release and digest; taken up again after a kill
    <root>/…            the Triton repository (serving/triton/repository.py)
"""
