//! Every message for people, in one snapshot. It is read from the source with a parser, so that moving code changes
//! nothing here: messages are grouped by crate and top-level module only.

#![cfg(test)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use proc_macro2::{TokenStream, TokenTree};
use syn::{
    Attribute, Expr, ExprLit, Fields, ItemEnum, ItemFn, ItemMod, ItemStruct, ItemTrait, Lit, LitStr, Macro, Meta,
    Variant,
    visit::{self, Visit},
};

/// Derives whose doc comments people read: in `--help`, in `kubectl explain`, in the OpenAPI document.
const SHOWN: [&str; 9] = [
    "Args",
    "CustomResource",
    "JsonSchema",
    "KubeSchema",
    "Parser",
    "Subcommand",
    "ToSchema",
    "IntoParams",
    "ValueEnum",
];

/// Macros whose text is for people, however short it is.
const PRINTS: [&str; 16] = [
    "anyhow",
    "bail",
    "debug",
    "ensure",
    "eprint",
    "eprintln",
    "error",
    "format",
    "format_args",
    "info",
    "print",
    "println",
    "trace",
    "warn",
    "write",
    "writeln",
];

#[derive(Default)]
struct Messages {
    found: BTreeSet<String>,
    /// Inside of a macro or an attribute whose text is for people: two words are enough there.
    shown: bool,
}

impl Messages {
    fn text(&mut self, text: &str) {
        let words = text.split_whitespace().filter(|word| word.chars().any(char::is_alphabetic)).count();
        if words >= if self.shown { 2 } else { 3 } && !is_expression(text) {
            self.found.insert(text.split_whitespace().collect::<Vec<_>>().join(" "));
        }
    }

    fn tokens(&mut self, tokens: TokenStream) {
        for token in tokens {
            match token {
                TokenTree::Group(group) => self.tokens(group.stream()),
                TokenTree::Literal(literal) => {
                    if let Ok(text) = syn::parse_str::<LitStr>(&literal.to_string()) {
                        self.text(&text.value());
                    }
                }
                TokenTree::Ident(_) | TokenTree::Punct(_) => {}
            }
        }
    }

    fn shown(&mut self, read: impl FnOnce(&mut Self)) {
        let before = std::mem::replace(&mut self.shown, true);
        read(self);
        self.shown = before;
    }

    /// Attributes other than comments: `#[error("…")]`, `#[arg(help = "…")]`, `#[x_kube(validation = …)]`.
    fn attributes(&mut self, attributes: &[Attribute]) {
        for attribute in attributes {
            if let Meta::List(list) = &attribute.meta
                && !list.path.is_ident("cfg_attr")
                && !list.path.is_ident("expect")
            {
                self.shown(|messages| messages.tokens(list.tokens.clone()));
            }
        }
    }

    fn doc(&mut self, attributes: &[Attribute]) {
        let mut comment = String::new();
        for attribute in attributes {
            if let Meta::NameValue(pair) = &attribute.meta
                && pair.path.is_ident("doc")
                && let Expr::Lit(ExprLit { lit: Lit::Str(line), .. }) = &pair.value
            {
                comment.push_str(&line.value());
                comment.push(' ');
            }
        }
        self.shown(|messages| messages.text(&comment));
    }

    fn fields(&mut self, fields: &Fields) {
        for field in fields {
            self.doc(&field.attrs);
        }
    }
}

impl<'ast> Visit<'ast> for Messages {
    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        self.attributes(std::slice::from_ref(attribute));
    }

    fn visit_lit_str(&mut self, literal: &'ast LitStr) {
        self.text(&literal.value());
    }

    fn visit_macro(&mut self, invocation: &'ast Macro) {
        let prints = invocation.path.segments.last().is_some_and(|name| PRINTS.iter().any(|print| name.ident == print));
        if prints {
            self.shown(|messages| messages.tokens(invocation.tokens.clone()));
        } else {
            self.tokens(invocation.tokens.clone());
        }
    }

    fn visit_item_struct(&mut self, item: &'ast ItemStruct) {
        if is_shown(&item.attrs) {
            self.doc(&item.attrs);
            self.fields(&item.fields);
        }
        visit::visit_item_struct(self, item);
    }

    fn visit_item_enum(&mut self, item: &'ast ItemEnum) {
        if is_shown(&item.attrs) {
            self.doc(&item.attrs);
            for Variant { attrs, fields, .. } in &item.variants {
                self.doc(attrs);
                self.fields(fields);
            }
        }
        visit::visit_item_enum(self, item);
    }

    /// A route describes itself in its comment.
    fn visit_item_fn(&mut self, item: &'ast ItemFn) {
        if is_test(&item.attrs) {
            return;
        }
        if item
            .attrs
            .iter()
            .any(|attribute| attribute.path().segments.first().is_some_and(|segment| segment.ident == "utoipa"))
        {
            self.doc(&item.attrs);
        }
        visit::visit_item_fn(self, item);
    }

    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        if !is_test(&item.attrs) {
            visit::visit_item_mod(self, item);
        }
    }

    fn visit_item_trait(&mut self, item: &'ast ItemTrait) {
        if !is_test(&item.attrs) {
            visit::visit_item_trait(self, item);
        }
    }
}

/// CEL, JSON and the like: for machines, although there are spaces in it.
fn is_expression(text: &str) -> bool {
    [" == ", " && ", " || ", " != ", " ? ", "=> "].iter().any(|sign| text.contains(sign))
}

/// What docs/STYLE.md refuses in a message, and where it is right all the same.
const REFUSED: [(&str, &[&str]); 29] = [
    ("whoever", &[]),
    ("nobody", &[]),
    ("somebody", &[]),
    ("anybody", &[]),
    ("everybody", &[]),
    ("mend", &[]),
    ("mended", &[]),
    ("is no", &["there is no", "is no longer"]),
    ("are no", &["there are no", "are no longer"]),
    ("is none of", &[]),
    ("may not", &[]),
    ("stand", &[]),
    ("stands", &[]),
    ("once more", &[]),
    ("what to mind", &[]),
    ("key leaves", &[]),
    ("keys leave", &[]),
    ("may leave", &[]),
    ("redeem", &[]),
    ("redeems", &[]),
    ("redeemed", &[]),
    ("mints", &[]),
    ("minted", &["{minted}"]),
    ("agree", &[]),
    ("agreed", &[]),
    ("withdraw", &[]),
    ("withdrawn", &[]),
    ("the operator's own policy", &[]),
    ("anew", &[]),
];

/// Whether a message has these words, as words, in lower case.
fn has_words(message: &str, words: &str) -> bool {
    let is_part = |character: char| character.is_alphanumeric() || character == '_';
    message.match_indices(words).any(|(start, found)| {
        let (before, after) = (&message[..start], &message[start + found.len()..]);
        !before.ends_with(is_part) && !after.starts_with(is_part)
    })
}

fn is_shown(attributes: &[Attribute]) -> bool {
    attributes.iter().filter(|attribute| attribute.path().is_ident("derive")).any(|attribute| {
        let Meta::List(list) = &attribute.meta else { return false };
        list.tokens.clone().into_iter().any(|token| match token {
            TokenTree::Ident(name) => SHOWN.iter().any(|shown| name == shown),
            _ => false,
        })
    })
}

fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("test")
            || (attribute.path().is_ident("cfg")
                && matches!(&attribute.meta, Meta::List(list) if list.tokens.to_string().contains("test")))
    })
}

/// Whether a file holds tests only.
fn is_test_file(path: &Path) -> bool {
    let name = path.file_stem().unwrap().to_string_lossy();
    name == "fixtures"
        || name.ends_with("tests")
        || name.starts_with("test_")
        || path.components().any(|part| part.as_os_str() == "tests")
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") && !is_test_file(&path) {
            found.push(path);
        }
    }
}

/// Messages by crate and top-level module: `server`, `core::lifecycle`.
fn messages() -> BTreeMap<String, BTreeSet<String>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders = vec![(String::new(), root.join("src"))];
    for entry in fs::read_dir(root.join("crates")).unwrap() {
        let entry = entry.unwrap();
        folders.push((format!("{}::", entry.file_name().to_string_lossy()), entry.path().join("src")));
    }
    let mut groups = BTreeMap::<_, BTreeSet<_>>::new();
    for (prefix, folder) in folders {
        let mut files = Vec::new();
        sources(&folder, &mut files);
        for file in files {
            let parsed = syn::parse_file(&fs::read_to_string(&file).unwrap())
                .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
            let mut messages = Messages::default();
            messages.visit_file(&parsed);
            let module = Path::new(file.strip_prefix(&folder).unwrap().iter().next().unwrap());
            let group = format!("{prefix}{}", module.file_stem().unwrap().to_string_lossy());
            groups.entry(group).or_default().extend(messages.found);
        }
    }
    groups
}

#[test]
fn every_message_is_in_the_snapshot_so_that_a_change_is_read_in_one_diff() {
    let mut all = String::new();
    for (group, messages) in messages() {
        if messages.is_empty() {
            continue;
        }
        writeln!(all, "## {group}").unwrap();
        for message in messages {
            writeln!(all, "- {message}").unwrap();
        }
    }
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!("messages", all));
}

#[test]
fn no_message_uses_a_word_that_style_refuses() {
    let mut refused = Vec::new();
    for (group, messages) in messages() {
        for message in messages {
            for (words, exceptions) in REFUSED {
                let mut text = message.to_lowercase();
                for exception in exceptions {
                    text = text.replace(exception, "");
                }
                if has_words(&text, words) {
                    refused.push(format!("{group}: `{words}` in: {message}"));
                }
            }
        }
    }
    assert!(refused.is_empty(), "see docs/STYLE.md for the words to use:\n{}", refused.join("\n"));
}
