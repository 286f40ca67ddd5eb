//! `certcourier doctor`: who could take a key past certcourier, and whether the safeguards are in place.
//!
//! Gathers facts with the user's own rights (`gather`), judges them in pure code (`checks`), and prints the report as a
//! table or as JSON (`table`). Changes nothing in the cluster and reads no Secret.

mod check;
mod checks;
mod command;
mod facts;
mod gaps;
mod gather;
mod rbac;
mod report;
mod text;

pub use check::Check;
pub use checks::evaluate;
pub use command::{DoctorArgs, run};
pub use gather::{Scope, facts};
pub use rbac::Subject;
pub use report::{Report, Verdict};
pub use text::text;
