"""The audit log: who did what to a model or a key, and why; append-only, provable, countersigned by every region."""
