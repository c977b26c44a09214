"""Every method on many pictures: `foveal benchmark world | folder`. Resumable; a table of values, a page."""
