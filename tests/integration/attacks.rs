//! Attacks that got through once, each run again.

mod kinds;
mod mutators;
