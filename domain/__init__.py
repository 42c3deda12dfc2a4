"""The pure rules of grid governance: standard library, pydantic and (in the atlas) geometry; no clock, no I/O."""
