//! What can be said of the policies without an API server; `tests/admission.rs` asks a real one.

use super::*;

fn identity() -> Identity {
    Identity::new("certcourier-system", "system:serviceaccount:certcourier-system:controller", "server").unwrap()
}
