//! The server from outside: its routes on an API server in memory that can be made to fail, and its listener on real
//! sockets.
#![cfg(test)]

mod audit;
mod certificates;
mod claims;
mod connections;
mod crowds;
mod fake_api;
mod faults;
mod guard;
mod limits;
mod logs;
mod redemption;
mod stage;
mod streaming;
