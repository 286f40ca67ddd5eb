//! The orders of the parts of a `combined` file, and which programs take which.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Order of the parts of a `combined` file. Text form: `LeafChainKey`, `KeyLeafChain`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum PemOrder {
    /// Leaf, chain, key: the default, because most programs take it.
    #[default]
    LeafChainKey,
    /// Key, leaf, chain: for those that read the key first.
    KeyLeafChain,
}

impl PemOrder {
    /// Both, the default first.
    pub const ALL: [PemOrder; 2] = [PemOrder::LeafChainKey, PemOrder::KeyLeafChain];

    /// The text form, as the API writes it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            PemOrder::LeafChainKey => "LeafChainKey",
            PemOrder::KeyLeafChain => "KeyLeafChain",
        }
    }

    /// The text form on a command line.
    #[must_use]
    pub const fn flag(self) -> &'static str {
        match self {
            PemOrder::LeafChainKey => "leaf-chain-key",
            PemOrder::KeyLeafChain => "key-leaf-chain",
        }
    }

    /// The programs that take it. Help texts are made of this, and docs/formats.md and the CRD are compared with it.
    #[must_use]
    pub const fn taken_by(self) -> &'static str {
        match self {
            PemOrder::LeafChainKey => "HAProxy",
            PemOrder::KeyLeafChain => "lighttpd, stunnel",
        }
    }
}

impl fmt::Display for PemOrder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

/// A text that is not the name of an order.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown order: use LeafChainKey or KeyLeafChain")]
pub struct UnknownPemOrder;

/// As the API and as a command line write it.
impl FromStr for PemOrder {
    type Err = UnknownPemOrder;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        PemOrder::ALL.into_iter().find(|order| [order.name(), order.flag()].contains(&text)).ok_or(UnknownPemOrder)
    }
}
