//! Attacks that got through once, each run again.

mod doctor;
mod kinds;
mod mutators;
