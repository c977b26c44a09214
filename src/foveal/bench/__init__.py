"""Every method on many pictures: `foveal bench world | folder`. Resumable; a table of values, a page of findings."""
