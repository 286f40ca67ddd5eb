//! `kubectl certcourier` as people run it: a process that the real kubectl finds on PATH, against the operator as two kinds
//! of processes on a real control plane. The stage and the worlds are those of tests/integration.

#![cfg(test)]

mod adopt;
#[allow(dead_code, reason = "tests/integration uses more of it")]
#[path = "../integration/canaries.rs"]
mod canaries;
mod claims;
mod completion;
mod describe;
mod doctor;
mod documented;
mod download;
mod explain;
#[allow(dead_code, reason = "tests/integration uses more of it")]
#[path = "../integration/fault_proxy.rs"]
mod fault_proxy;
mod faults;
mod inbox;
mod inspect;
mod kit;
mod lists;
#[allow(dead_code, reason = "tests/integration uses more of it")]
#[path = "../integration/pki.rs"]
mod pki;
#[allow(dead_code, reason = "tests/integration uses more of it")]
#[path = "../integration/stage.rs"]
mod stage;
mod terminal;
mod typed;
mod votes;
mod ways;
#[allow(dead_code, reason = "tests/integration uses more of it")]
#[path = "../integration/world.rs"]
mod world;
