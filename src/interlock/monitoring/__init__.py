"""Watch endpoints: drift of what is asked, performance once the truth is known, and alerts."""
