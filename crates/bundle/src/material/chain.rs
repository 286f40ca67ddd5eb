//! Puts the certificates of one file in the order of a chain.
//!
//! Looks only at names, key identifiers and signatures: whether the chain is trusted, in time or
//! within its name constraints is for the user of the certificate.

use super::certificate::Certificate;
use super::error::ChainError;
use super::signature::{SignatureCheck, verify};

/// A leaf and what is between it and its root.
pub(super) struct Chain {
    pub(super) leaf: Certificate,
    /// In order, each signed by a later one; the root, and duplicates, left out.
    pub(super) intermediates: Vec<Certificate>,
    /// The certificate that belongs to no chain from the leaf, if there is one.
    pub(super) broken: Option<ChainError>,
}

/// Orders certificates; `None` if there are none.
///
/// The order that was supplied is kept wherever it is one: a cross-signed chain, which has several
/// right orders, stays as its authority wrote it.
pub(super) fn order(certificates: Vec<Certificate>) -> Option<Chain> {
    let supplied = Supplied::new(certificates);
    let leaf = supplied.leaf()?;
    let (path, unlinked) = supplied.path_from(leaf);
    let broken = unlinked.map(|position| ChainError {
        subject: supplied.entries[position].subject(),
        number: supplied.entries[position].number,
        missing_issuer: path.last().map(|last| supplied.entries[*last].issuer()).unwrap_or_default(),
    });
    let mut entries: Vec<Option<Certificate>> =
        supplied.entries.into_iter().map(|entry| Some(entry.certificate)).collect();
    let mut taken = path.into_iter().filter_map(|position| entries.get_mut(position)?.take());
    Some(Chain { leaf: taken.next()?, intermediates: taken.collect(), broken })
}

struct Entry {
    certificate: Certificate,
    /// Place in the file, from 1.
    number: usize,
    self_signed: bool,
}

impl Entry {
    fn subject(&self) -> String {
        named(&self.certificate.facts.subject)
    }

    fn issuer(&self) -> String {
        named(&self.certificate.facts.issuer)
    }
}

fn named(name: &str) -> String {
    if name.is_empty() { "(no name)".to_owned() } else { name.to_owned() }
}

/// The certificates as supplied, without duplicates, and who signed whom.
struct Supplied {
    entries: Vec<Entry>,
    /// `signed[issuer][child]`, never of a certificate with itself.
    signed: Vec<Vec<bool>>,
}

impl Supplied {
    fn new(certificates: Vec<Certificate>) -> Self {
        let mut entries: Vec<Entry> = Vec::new();
        for (index, certificate) in certificates.into_iter().enumerate() {
            let known = entries.iter().any(|entry| entry.certificate.der == certificate.der);
            if !known {
                entries.push(Entry {
                    self_signed: signed_by(&certificate, &certificate),
                    number: index + 1,
                    certificate,
                });
            }
        }
        let signed = entries
            .iter()
            .enumerate()
            .map(|(issuer, by)| {
                entries
                    .iter()
                    .enumerate()
                    .map(|(child, entry)| issuer != child && signed_by(&entry.certificate, &by.certificate))
                    .collect()
            })
            .collect();
        Self { entries, signed }
    }

    fn signed(&self, issuer: usize, child: usize) -> bool {
        self.signed[issuer][child]
    }

    /// The leaf is the first certificate that signed no other one; one that must not sign at all goes
    /// before authorities, and those before roots. The key is not asked, so that a file has the same
    /// leaf with and without it.
    fn leaf(&self) -> Option<usize> {
        let all = 0..self.entries.len();
        let signed_none = all.clone().filter(|issuer| !all.clone().any(|child| self.signed(*issuer, child)));
        signed_none
            .min_by_key(|position| {
                let entry = &self.entries[*position];
                (entry.certificate.facts.is_ca, entry.self_signed)
            })
            // Authorities that signed each other in a circle.
            .or_else(|| (!self.entries.is_empty()).then_some(0))
    }

    /// The leaf and its intermediates in order, and the first certificate that does not belong.
    fn path_from(&self, leaf: usize) -> (Vec<usize>, Option<usize>) {
        let mut path = vec![leaf];
        let mut waiting: Vec<usize> = (0..self.entries.len())
            .filter(|position| *position != leaf && !self.entries[*position].self_signed)
            .collect();
        while let Some(index) = self.next(&path, &waiting) {
            path.push(waiting.remove(index));
        }
        let unlinked = (0..self.entries.len()).find(|position| {
            waiting.contains(position)
                || (self.entries[*position].self_signed && *position != leaf && !self.is_root_of(*position, &path))
        });
        (path, unlinked)
    }

    /// Which one to take next: the first in the file that signed any of the path.
    fn next(&self, path: &[usize], waiting: &[usize]) -> Option<usize> {
        waiting.iter().position(|issuer| path.iter().any(|child| self.signed(*issuer, *child)))
    }

    /// A root belongs to a path if it signed some of it; one that was cross-signed signed what its
    /// other certificate signed.
    fn is_root_of(&self, root: usize, path: &[usize]) -> bool {
        path.iter().any(|child| self.signed(root, *child))
    }
}

/// Whether the second certificate's key signed the first one.
///
/// Where the signature cannot be checked, names and key identifiers decide.
fn signed_by(child: &Certificate, issuer: &Certificate) -> bool {
    if child.canonical_issuer != issuer.canonical_subject {
        return false;
    }
    match verify(child, &issuer.public_key) {
        SignatureCheck::Proven => true,
        SignatureCheck::Refuted => false,
        SignatureCheck::Unknown => match (&child.authority_key_id, &issuer.subject_key_id) {
            (Some(wanted), Some(found)) => wanted == found,
            _ => true,
        },
    }
}
