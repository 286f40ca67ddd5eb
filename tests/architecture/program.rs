//! The whole program: every module, and which file each name leads to.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use crate::source::{self, Module, ModulePath, Named};

/// The crates, by the name that code calls them.
pub const CRATES: [(&str, &str); 4] = [
    ("certcourier_bundle", "crates/bundle/src"),
    ("certcourier_api", "crates/api/src"),
    ("certcourier_core", "crates/core/src"),
    ("certcourier", "src"),
];

/// So many re-exports behind one another are followed.
const FOLLOWED: usize = 16;

/// All modules, without tests.
#[derive(Default)]
pub struct Program {
    modules: BTreeMap<ModulePath, Module>,
}

/// Where a name leads.
#[derive(Debug, PartialEq, Eq)]
pub enum Target {
    /// An item, in this file.
    Item(String),
    /// A module as a whole. Its items may be named next, each of them by its own path.
    Module(ModulePath),
    /// Something that is not ours, by its full path.
    Outside(Vec<String>),
}

/// That code in one file names an item of another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Arrow {
    pub from: String,
    pub to: String,
    pub line: usize,
    /// As it is written.
    pub name: String,
}

impl Program {
    /// Reads the sources of the crates below a folder.
    pub fn on_disk(root: &Path) -> Self {
        let files: Vec<_> = CRATES.iter().flat_map(|(_, folder)| files_below(root, folder)).collect();
        Self::of(files.iter().map(|(path, text)| (path.as_str(), text.as_str())))
    }

    /// Reads sources that are given with their paths, as in `("src/server/net.rs", "…")`.
    pub fn of<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut program = Self::default();
        let mut tests = BTreeSet::new();
        for (path, text) in files {
            let Some(module) = module_of(path) else { continue };
            let source = source::read(path, &module, text);
            program.modules.extend(source.modules);
            tests.extend(source.test_modules);
        }
        program.modules.retain(|path, _| !tests.iter().any(|test| path.starts_with(test)));
        program
    }

    /// Every file that is not a test.
    pub fn files(&self) -> BTreeSet<&str> {
        self.modules.values().map(|module| module.file.as_str()).collect()
    }

    pub fn modules(&self) -> impl Iterator<Item = &Module> {
        self.modules.values()
    }

    /// What each file names in others. A name leads to the file that defines it, through every re-export.
    pub fn arrows(&self) -> BTreeSet<Arrow> {
        self.targets()
            .into_iter()
            .filter_map(|(from, named, target)| match target {
                Target::Item(to) if to != from => {
                    Some(Arrow { from: from.to_owned(), to, line: named.line, name: named.path.join("::") })
                }
                _ => None,
            })
            .collect()
    }

    /// What each file names that is not ours.
    pub fn outside(&self) -> Vec<(&str, &Named, Vec<String>)> {
        self.targets()
            .into_iter()
            .filter_map(|(from, named, target)| match target {
                Target::Outside(path) => Some((from, named, path)),
                _ => None,
            })
            .collect()
    }

    fn targets(&self) -> Vec<(&str, &Named, Target)> {
        let mut found = Vec::new();
        for (path, module) in &self.modules {
            let named = module.imports.iter().map(|import| &import.named).chain(&module.paths);
            found.extend(named.map(|named| (module.file.as_str(), named, self.resolve(path, &named.path, FOLLOWED))));
        }
        found
    }

    /// What a path in a module leads to.
    fn resolve(&self, from: &[String], path: &[String], left: usize) -> Target {
        let Some((first, rest)) = path.split_first() else { return Target::Module(from.to_vec()) };
        if left == 0 {
            return Target::Outside(path.to_vec());
        }
        match first.as_str() {
            "crate" => self.inside(&from[..1], rest, left - 1),
            "self" => self.inside(from, rest, left - 1),
            "super" => self.inside(&from[..from.len() - 1], rest, left - 1),
            // Written with `::` in front: another crate.
            "" => self.resolve_crate(rest, left),
            _ if self.knows(from, first) => self.inside(from, path, left - 1),
            _ => self.resolve_crate(path, left),
        }
    }

    fn resolve_crate(&self, path: &[String], left: usize) -> Target {
        match path.split_first() {
            Some((name, rest)) if CRATES.iter().any(|(known, _)| known == name) => {
                self.inside(std::slice::from_ref(name), rest, left - 1)
            }
            _ => Target::Outside(path.to_vec()),
        }
    }

    fn knows(&self, module: &[String], name: &String) -> bool {
        let child: ModulePath = module.iter().chain([name]).cloned().collect();
        self.modules.contains_key(&child)
            || self.modules.get(module).is_some_and(|module| {
                module.items.contains(name) || module.imports.iter().any(|import| import.alias.as_ref() == Some(name))
            })
    }

    /// What a path leads to that begins inside a module.
    fn inside(&self, module: &[String], path: &[String], left: usize) -> Target {
        let Some((first, rest)) = path.split_first() else { return Target::Module(module.to_vec()) };
        let Some(here) = self.modules.get(module) else { return Target::Outside(path.to_vec()) };
        if left == 0 {
            return Target::Outside(path.to_vec());
        }
        if first == "super" || first == "self" {
            return self.resolve(module, path, left - 1);
        }
        let child: ModulePath = module.iter().chain([first]).cloned().collect();
        let is_module = self.modules.contains_key(&child);
        if is_module && !rest.is_empty() {
            return self.inside(&child, rest, left - 1);
        }
        if here.items.contains(first) {
            return Target::Item(here.file.clone());
        }
        let import = here.imports.iter().find(|import| import.alias.as_ref() == Some(first));
        match import.map(|import| &import.named.path) {
            // `use serde;` leads to itself.
            Some(path) if path.len() > 1 || path.first() != Some(first) => {
                let path: Vec<String> = path.iter().chain(rest).cloned().collect();
                self.resolve(module, &path, left - 1)
            }
            Some(_) => self.resolve_crate(path, left),
            None if is_module => Target::Module(child),
            None => self.through_globs(module, here, path, left),
        }
    }

    fn through_globs(&self, module: &[String], here: &Module, path: &[String], left: usize) -> Target {
        let globs = here.imports.iter().filter(|import| import.alias.is_none());
        for glob in globs {
            if let Target::Module(target) = self.resolve(module, &glob.named.path, left - 1)
                && self.knows(&target, &path[0])
            {
                return self.inside(&target, path, left - 1);
            }
        }
        // What a macro has made.
        Target::Item(here.file.clone())
    }
}

/// The module that a file is. Programs (`src/main.rs`, `src/bin/`) only start the library, and are none.
fn module_of(path: &str) -> Option<ModulePath> {
    let (name, rest) =
        CRATES.iter().find_map(|(name, folder)| Some((*name, path.strip_prefix(folder)?.strip_prefix('/')?)))?;
    if rest == "main.rs" || rest.starts_with("bin/") {
        return None;
    }
    let inner = rest.strip_suffix(".rs")?.split('/').filter(|part| *part != "lib");
    Some([name].into_iter().chain(inner).map(str::to_owned).collect())
}

/// Every Rust file below a folder, with its path from the root, and its text.
pub fn files_below(root: &Path, folder: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(root.join(folder)).unwrap() {
        let entry = entry.unwrap();
        let name = format!("{folder}/{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            found.extend(files_below(root, &name));
        } else if entry.path().extension().is_some_and(|extension| extension == "rs") {
            found.push((name, fs::read_to_string(entry.path()).unwrap()));
        }
    }
    found
}
