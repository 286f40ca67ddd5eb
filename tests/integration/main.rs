//! The operator as two kinds of processes on a real control plane, used through the API server and HTTPS alone.
//!
//! One controller and two servers serve all tests of this binary; each test has a namespace of its own. Tests that
//! stop or restart the operator start their own (`Stage::own`).

#![cfg(test)]

mod api;
mod approvals;
mod approvals_page;
mod attacks;
mod audit;
mod bad_input;
mod clients;
mod cost;
mod doctor;
mod documented;
mod examples;
mod faults;
mod forgery;
mod formats;
mod gitops;
mod guard;
mod leaks;
mod metrics;
mod nginx;
mod open_network;
mod people;
mod pipelines;
mod race;
mod redemption;
mod restarts;
mod reviewed;
mod rights;
mod secrecy;
mod web_page;
