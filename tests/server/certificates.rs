//! Certificates for the tests, signed by a root.

use rcgen::CustomExtension;
use test_support::pki::{Leaf, Pki};

/// A leaf for this name.
pub fn leaf(name: &str) -> Leaf {
    Pki::without_intermediate().leaf(name)
}

/// A leaf whose certificate takes at least this many bytes, in an extension that nobody knows.
pub fn large_leaf(bytes: usize) -> Leaf {
    let oid = [1, 3, 6, 1, 4, 1, 55_555, 1];
    Pki::without_intermediate().leaf_with("large.example.com", |params| {
        params.custom_extensions = vec![CustomExtension::from_oid_content(&oid, vec![7; bytes])];
    })
}
