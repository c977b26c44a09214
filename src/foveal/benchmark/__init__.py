"""Every method on many pictures: `foveal benchmark synthetic | folder`. Resumable; a table of values, a page."""
