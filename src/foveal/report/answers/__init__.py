"""What a page is told: results as plain data, the same for the studio's server and for reports that open from disk."""
