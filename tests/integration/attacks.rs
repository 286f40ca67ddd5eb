//! What attackers tried, on a live stage: one file for each topic, each attack a test that fails without its remedy.

mod doctor;
mod kinds;
mod mutators;
mod network;
mod requests;
mod votes;
