//! The admission matrix: what a real API server with our policies lets pass, and which rule refuses the rest.
//!
//! Each file holds one story: a table of cases that run in order in a namespace of their own, and each refusal must come
//! from the rule that is meant, told by the policy's name and by words of its message. `K8S=1.33` and `1.37` choose
//! another API server; where it has no `MutatingAdmissionPolicy` the cases of the stamp are those of its absence.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test says what is wrong by ending")]
#![expect(clippy::too_many_lines, reason = "a table is as long as it has cases")]
#![expect(clippy::needless_pass_by_value, reason = "`json!` at the call reads better than a reference to it")]

mod case;
mod certificates;
mod deletion;
mod guard;
mod kinds;
mod live;
mod people;
mod receipts;
mod requests;
mod restored;
mod roles;
mod secrets;
mod sidecar;
mod stamp;
mod texts;
mod upkeep;
mod votes;
mod world;
