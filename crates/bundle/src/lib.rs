//! Turns certificate material into the file a person asked for.
