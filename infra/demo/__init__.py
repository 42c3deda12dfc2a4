"""One seeded day of a city, played through the real HTTP edge."""
