"""Getting into robots: finding them, putting a key on them, writing them into the inventory, and keeping their keys."""
