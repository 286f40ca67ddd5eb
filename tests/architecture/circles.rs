//! Circles between files: A names B, B names C, C names A. Nobody can read one of them without all the others.
//!
//! A parent and its own descendants may name each other: that is a module in several files, and is read as one. What
//! makes a circle of it is a file from elsewhere, or siblings that name each other.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::program::Arrow;

type Graph<'a> = BTreeMap<&'a str, BTreeSet<&'a str>>;

/// Files that all lead to each other, and one circle among them: the shortest, its first file again at the end.
pub struct Knot<'a> {
    pub files: BTreeSet<&'a str>,
    pub circle: Vec<&'a str>,
}

/// Every knot that is not allowed.
pub fn knots(arrows: &BTreeSet<Arrow>) -> Vec<Knot<'_>> {
    let mut graph = Graph::new();
    for arrow in arrows {
        graph.entry(&arrow.from).or_default().insert(&arrow.to);
    }
    let leads_to: Graph<'_> = graph.keys().map(|file| (*file, reachable(&graph, file))).collect();
    let mut found = Vec::new();
    let mut seen = BTreeSet::new();
    for (file, onwards) in &leads_to {
        if !onwards.contains(file) || seen.contains(file) {
            continue;
        }
        let leads_back = |other: &&str| leads_to.get(other).is_some_and(|onwards| onwards.contains(file));
        let files: BTreeSet<&str> = onwards.iter().copied().filter(leads_back).collect();
        seen.extend(files.clone());
        if let Some(circle) = shortest(&graph, &files) {
            found.push(Knot { files, circle });
        }
    }
    found
}

fn reachable<'a>(graph: &Graph<'a>, from: &str) -> BTreeSet<&'a str> {
    let mut found = BTreeSet::new();
    let mut next: Vec<&str> = graph.get(from).into_iter().flatten().copied().collect();
    while let Some(file) = next.pop() {
        if found.insert(file) {
            next.extend(graph.get(file).into_iter().flatten());
        }
    }
    found
}

/// The shortest circle in a knot that is more than a parent and its descendants.
fn shortest<'a>(graph: &Graph<'a>, knot: &BTreeSet<&'a str>) -> Option<Vec<&'a str>> {
    let mut best: Option<Vec<&str>> = None;
    for (from, targets) in graph.iter().filter(|(from, _)| knot.contains(*from)) {
        for to in targets.iter().filter(|to| knot.contains(*to) && !related(from, to)) {
            let siblings_alone = way(graph, knot, to, from, |a, b| !related(a, b));
            let any = way(graph, knot, to, from, |_, _| true);
            let circle = siblings_alone.or_else(|| any.filter(|way| !one_module(way)));
            if let Some(mut circle) = circle
                && best.as_ref().is_none_or(|best| circle.len() + 1 < best.len())
            {
                circle.insert(0, from);
                best = Some(circle);
            }
        }
    }
    let all: Vec<&str> = knot.iter().copied().collect();
    // A long way may leave the module although each shortest one stays inside.
    best.or_else(|| (!one_module(&all)).then_some(all))
}

/// The shortest way from one file to another, both included.
fn way<'a>(
    graph: &Graph<'a>,
    knot: &BTreeSet<&'a str>,
    from: &'a str,
    to: &'a str,
    may: impl Fn(&str, &str) -> bool,
) -> Option<Vec<&'a str>> {
    let mut came_from = BTreeMap::from([(from, from)]);
    let mut next = VecDeque::from([from]);
    while let Some(file) = next.pop_front() {
        if file == to {
            let mut way = vec![to];
            while way[0] != from {
                way.insert(0, came_from[way[0]]);
            }
            return Some(way);
        }
        for other in graph.get(file).into_iter().flatten().filter(|other| knot.contains(*other) && may(file, other)) {
            if !came_from.contains_key(other) {
                came_from.insert(other, file);
                next.push_back(other);
            }
        }
    }
    None
}

/// Whether all are one parent, which is among them, and its descendants.
fn one_module(files: &[&str]) -> bool {
    files.iter().any(|parent| files.iter().all(|file| file == parent || is_parent(parent, file)))
}

fn related(one: &str, other: &str) -> bool {
    is_parent(one, other) || is_parent(other, one)
}

/// Whether a module has another inside it, as `src/server.rs` has `src/server/net/tls.rs`.
fn is_parent(parent: &str, child: &str) -> bool {
    let folder = parent.strip_suffix("/lib.rs").or_else(|| parent.strip_suffix(".rs"));
    folder.and_then(|folder| child.strip_prefix(folder)).is_some_and(|rest| rest.starts_with('/'))
}
