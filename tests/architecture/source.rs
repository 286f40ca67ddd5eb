//! One source file as the rules see it: which modules it has, what each defines, and what its code names.

use std::collections::BTreeSet;

use proc_macro2::{TokenStream, TokenTree};
use syn::{
    Attribute, Item, UseTree,
    spanned::Spanned,
    visit::{self, Visit},
};

/// `crate::server::http` in segments; the first is the name of a crate.
pub type ModulePath = Vec<String>;

/// A path as it is written, and the line that it stands on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Named {
    pub path: Vec<String>,
    pub line: usize,
}

/// One name that a `use` brings into a module. No `alias`: everything (`*`).
#[derive(Clone, Debug)]
pub struct Import {
    pub alias: Option<String>,
    pub named: Named,
}

/// A module: a file, or a `mod` with braces inside one. Code under `#[cfg(test)]` is not in here.
#[derive(Debug, Default)]
pub struct Module {
    pub file: String,
    pub items: BTreeSet<String>,
    pub imports: Vec<Import>,
    /// Paths of two segments or more.
    pub paths: BTreeSet<Named>,
    /// `async`, `await`, and each macro that is called, as in `println!`.
    pub words: BTreeSet<Named>,
}

/// What one file holds.
#[derive(Debug, Default)]
pub struct Source {
    pub modules: Vec<(ModulePath, Module)>,
    /// Modules of other files that are declared under `#[cfg(test)]`.
    pub test_modules: BTreeSet<ModulePath>,
}

/// Reads a file that is the module `path`.
pub fn read(file: &str, path: &[String], text: &str) -> Source {
    let syntax = syn::parse_file(text).unwrap_or_else(|error| panic!("{file}: {error}"));
    let mut reader = Reader { file: file.to_owned(), source: Source::default() };
    reader.module(path.to_vec(), &syntax.items, &syntax.attrs);
    reader.source
}

struct Reader {
    file: String,
    source: Source,
}

impl Reader {
    fn module(&mut self, path: ModulePath, items: &[Item], attributes: &[Attribute]) {
        let mut walk =
            Walk { path, module: Module { file: self.file.clone(), ..Module::default() }, inner: Vec::new() };
        for attribute in attributes {
            walk.visit_attribute(attribute);
        }
        for item in items {
            walk.visit_item(item);
        }
        let inner = walk.inner;
        self.source.modules.push((walk.path.clone(), walk.module));
        for declared in inner {
            let mut path = walk.path.clone();
            path.push(declared.ident.to_string());
            match (&declared.content, is_test(&declared.attrs)) {
                (None, true) => drop(self.source.test_modules.insert(path)),
                (Some((_, items)), false) => self.module(path, items, &declared.attrs),
                (None, false) | (Some(_), true) => {}
            }
        }
    }
}

/// Collects what one module names, without the modules inside it.
struct Walk<'ast> {
    path: ModulePath,
    module: Module,
    inner: Vec<&'ast syn::ItemMod>,
}

impl Walk<'_> {
    fn import(&mut self, tree: &UseTree, before: &[String]) {
        let named = |last: String| {
            let path = before.iter().cloned().chain([last]).collect();
            Named { path, line: tree.span().start().line }
        };
        match tree {
            UseTree::Path(path) => {
                self.import(&path.tree, &named(path.ident.to_string()).path);
            }
            UseTree::Group(group) => group.items.iter().for_each(|item| self.import(item, before)),
            UseTree::Glob(_) => {
                let named = Named { path: before.to_vec(), line: tree.span().start().line };
                self.module.imports.push(Import { alias: None, named });
            }
            UseTree::Name(name) if name.ident == "self" => {
                let named = Named { path: before.to_vec(), line: tree.span().start().line };
                self.module.imports.push(Import { alias: before.last().cloned(), named });
            }
            UseTree::Name(name) => {
                let alias = Some(name.ident.to_string());
                self.module.imports.push(Import { alias, named: named(name.ident.to_string()) });
            }
            UseTree::Rename(rename) => {
                let alias = Some(rename.rename.to_string());
                let named = if rename.ident == "self" {
                    Named { path: before.to_vec(), line: tree.span().start().line }
                } else {
                    named(rename.ident.to_string())
                };
                self.module.imports.push(Import { alias, named });
            }
        }
    }

    fn word(&mut self, word: &str, line: usize) {
        self.module.words.insert(Named { path: vec![word.to_owned()], line });
    }

    fn name(&mut self, path: &[String], line: usize) {
        if path.len() > 1 {
            self.module.paths.insert(Named { path: path.to_vec(), line });
        }
    }

    /// Paths in what a parser does not see: the arguments of macros and attributes.
    fn tokens(&mut self, stream: TokenStream) {
        let (mut path, mut colons, mut line) = (Vec::new(), 0, 0);
        for tree in stream {
            match tree {
                TokenTree::Ident(ident) => {
                    if colons != 2 {
                        self.name(&path, line);
                        path.clear();
                        line = ident.span().start().line;
                    }
                    let word = ident.to_string();
                    if word == "async" || word == "await" {
                        self.word(&word, line);
                    }
                    path.push(word);
                    colons = 0;
                }
                TokenTree::Punct(punct) if punct.as_char() == ':' => colons += 1,
                other => {
                    if matches!(&other, TokenTree::Punct(punct) if punct.as_char() == '!') {
                        self.word(&format!("{}!", path.join("::")), line);
                    }
                    self.name(&path, line);
                    path.clear();
                    colons = 0;
                    if let TokenTree::Group(group) = other {
                        self.tokens(group.stream());
                    }
                }
            }
        }
        self.name(&path, line);
    }
}

impl<'ast> Visit<'ast> for Walk<'ast> {
    fn visit_item(&mut self, item: &'ast Item) {
        if is_test(attributes(item)) && !matches!(item, Item::Mod(_)) {
            return;
        }
        if let Some(name) = name_of(item) {
            self.module.items.insert(name);
        }
        match item {
            Item::Mod(inner) => self.inner.push(inner),
            Item::Use(import) => {
                let before: &[String] = if import.leading_colon.is_some() { &[String::new()] } else { &[] };
                self.import(&import.tree, before);
            }
            _ => visit::visit_item(self, item),
        }
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        if !is_test(&function.attrs) {
            visit::visit_impl_item_fn(self, function);
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let leading = path.leading_colon.is_some().then(String::new);
        let segments: Vec<String> =
            leading.into_iter().chain(path.segments.iter().map(|segment| segment.ident.to_string())).collect();
        self.name(&segments, path.span().start().line);
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, called: &'ast syn::Macro) {
        let name: Vec<String> = called.path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        self.word(&format!("{}!", name.join("::")), called.span().start().line);
        self.tokens(called.tokens.clone());
        visit::visit_macro(self, called);
    }

    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        if let syn::Meta::List(list) = &attribute.meta {
            self.tokens(list.tokens.clone());
        }
        visit::visit_attribute(self, attribute);
    }

    fn visit_signature(&mut self, signature: &'ast syn::Signature) {
        if let Some(word) = &signature.asyncness {
            self.word("async", word.span.start().line);
        }
        visit::visit_signature(self, signature);
    }

    fn visit_expr_async(&mut self, block: &'ast syn::ExprAsync) {
        self.word("async", block.async_token.span.start().line);
        visit::visit_expr_async(self, block);
    }

    fn visit_expr_await(&mut self, waiting: &'ast syn::ExprAwait) {
        self.word("await", waiting.await_token.span.start().line);
        visit::visit_expr_await(self, waiting);
    }
}

/// Whether a part is there in tests alone. Nothing here is under a longer condition than `test`.
fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        syn::Meta::List(list) => list.path.is_ident("cfg") && list.tokens.to_string() == "test",
        _ => false,
    })
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

fn name_of(item: &Item) -> Option<String> {
    let ident = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Macro(item) => item.ident.as_ref()?,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::Type(item) => &item.ident,
        _ => return None,
    };
    Some(ident.to_string())
}
