"""What runs inside Triton's Python stub."""
