//! `kubectl certcourier` as people run it: a process that the real kubectl finds on PATH, against the operator as two kinds
//! of processes on a real control plane.

#![cfg(test)]

mod addresses;
mod adopt;
mod check;
mod claims;
mod completion;
mod describe;
mod doctor;
mod download;
mod explain;
mod faults;
mod habits;
mod inbox;
mod inspect;
mod kit;
mod lists;
mod several;
mod shells;
mod terminal;
mod typed;
mod votes;
mod ways;
mod web;
mod web_alone;
