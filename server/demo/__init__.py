"""An invented town, its shops and the people who call on them: what `rounds demo` shows. Nothing here is real data."""
