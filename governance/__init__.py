"""What must be true of every model: contracts, privacy, the gate, custody, trust. Imports no other room."""
