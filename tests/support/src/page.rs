//! The blocks of a page, as a reader sees them: what to type, and what is shown behind it.

/// What stands between two fences.
#[derive(Clone, Debug)]
pub struct Fence {
    /// `sh`, `text`, `json`, …
    pub language: String,
    /// Without the fences.
    pub text: String,
    /// The text behind it, up to the next fence.
    pub prose: String,
}

impl Fence {
    /// Whether the next fence stands right behind this one: then it is what this one prints.
    pub fn shows_the_next(&self) -> bool {
        self.prose.trim().is_empty()
    }
}

/// Every fenced block of a page.
///
/// # Panics
/// If a block does not end.
pub fn fences(page: &str) -> Vec<Fence> {
    let parts: Vec<&str> = page.split("\n```").collect();
    assert!(!parts.len().is_multiple_of(2), "a block does not end");
    let pairs = parts[1..].chunks(2);
    pairs
        .map(|pair| {
            let (language, text) = pair[0].split_once('\n').unwrap_or((pair[0], ""));
            let (language, text) = (language.to_owned(), format!("{text}\n"));
            Fence { language, text, prose: pair[1].strip_prefix('\n').unwrap_or(pair[1]).to_owned() }
        })
        .collect()
}
