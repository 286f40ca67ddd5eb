//! The controller as a process, with the rights that it is given, on a real control plane.
#![cfg(test)]

mod certificates;
mod disturbances;
mod endings;
mod failover;
mod minting;
mod process;
mod rights;
mod squatting;
mod world;
