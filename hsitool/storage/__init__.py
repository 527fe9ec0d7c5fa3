"""Files to blocks and back: formats, band metadata dialects, atomic outputs. No maths."""
