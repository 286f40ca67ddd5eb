//! One table: material × file × reader. A cell passes, or docs/formats.md lists it with the reason.

mod facts;
mod keytool;
mod made;
mod material;
mod nss;
mod openssl;
mod page;
mod readers;

use std::{
    collections::{BTreeMap, BTreeSet},
    thread,
};

use super::Folder;
use facts::Facts;
use made::Made;
use readers::{READERS, Reader};

/// Material, file, reader.
type Cell = (String, String, String);

#[test]
fn every_reader_finds_what_went_into_every_file_but_for_the_cells_that_the_page_lists() {
    let folder = Folder::new();
    let made = made::all(&folder);
    let (cells, failed) = read_all(&folder, &made);
    let listed = page::exceptions();
    let mut wrong: Vec<String> = Vec::new();
    for (cell, error) in &failed {
        if !listed.contains(cell) {
            wrong.push(format!("{cell:?}: {error}"));
        }
    }
    for cell in listed.iter().filter(|cell| !failed.contains_key(*cell)) {
        let what = if cells.contains(cell) { "passes now" } else { "is no cell of the table" };
        wrong.push(format!("{cell:?} {what}: take it out of docs/formats.md"));
    }
    assert!(wrong.is_empty(), "{} of {} cells:\n{}", wrong.len(), cells.len(), wrong.join("\n"));
    assert!(cells.len() > 900, "only {} cells", cells.len());
}

#[test]
fn the_page_says_of_every_reader_what_it_is_given_and_what_is_compared() {
    let wanted: BTreeSet<[String; 3]> = READERS
        .iter()
        .map(|reader| [reader.name.to_owned(), reader.formats.join(", "), reader.shows.join(", ")])
        .collect();
    assert_eq!(page::readers(), wanted);
}

/// Every cell, and those that failed with what was wrong. Readers work side by side.
fn read_all(folder: &Folder, made: &[Made]) -> (BTreeSet<Cell>, BTreeMap<Cell, String>) {
    let results: Vec<(Cell, Result<(), String>)> = thread::scope(|scope| {
        let running: Vec<_> = READERS.iter().map(|reader| scope.spawn(|| read_with(folder, reader, made))).collect();
        running.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    let cells = results.iter().map(|(cell, _)| cell.clone()).collect();
    let failed = results.into_iter().filter_map(|(cell, result)| Some((cell, result.err()?))).collect();
    (cells, failed)
}

fn read_with(folder: &Folder, reader: &Reader, made: &[Made]) -> Vec<(Cell, Result<(), String>)> {
    let given: Vec<&Made> = made.iter().filter(|made| reader.formats.contains(&made.format())).collect();
    let results = (reader.read)(folder, &given);
    assert_eq!(results.len(), given.len(), "{}", reader.name);
    given
        .into_iter()
        .zip(results)
        .map(|(made, found)| {
            let cell = (made.material.to_owned(), made.file.to_owned(), reader.name.to_owned());
            let compared = |facts: &Facts| facts.only(reader.shows, reader.in_order);
            let (found, wanted) = (found.map(|facts| compared(&facts)), compared(&made.expected));
            let result = match found {
                Ok(found) if found == wanted => Ok(()),
                Ok(found) => Err(format!("found {found:?}, not {wanted:?}")),
                Err(error) => Err(error),
            };
            (cell, result)
        })
        .collect()
}
