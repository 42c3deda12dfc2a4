"""A seeded city: what its riders see, and how the people of its grids act. The demo and the simulation live in it."""
