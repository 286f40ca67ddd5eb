//! What a person sees: tables, facts, JSON and YAML, styles, and the question before something is done.

pub(crate) mod confirm;
pub(crate) mod facts;
pub(crate) mod output;
pub(crate) mod sort;
pub(crate) mod style;
pub(crate) mod table;
