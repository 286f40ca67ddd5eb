//! What docs/formats.md says of the readers.

use std::{collections::BTreeSet, fs};

use super::Cell;

fn rows(head: &str) -> Vec<Vec<String>> {
    let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/formats.md")).unwrap();
    let table = page.split_once(head).unwrap_or_else(|| panic!("no table `{head}`")).1;
    let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    rows.map(|row| row.trim_matches('|').split('|').map(|cell| cell.replace('`', "").trim().to_owned()).collect())
        .collect()
}

/// Reader, what it is given, what is compared.
pub(super) fn readers() -> BTreeSet<[String; 3]> {
    rows("| reader | version | reads | compared |")
        .into_iter()
        .map(|row| [row[0].clone(), row[2].clone(), row[3].clone()])
        .collect()
}

/// The cells that fail; a row may list several materials, files and readers.
pub(super) fn exceptions() -> BTreeSet<Cell> {
    let mut cells = BTreeSet::new();
    for row in rows("| material | files | readers | why |") {
        let [materials, files, readers, why] = row.as_slice() else { panic!("{row:?}") };
        assert!(why.split(' ').count() > 3, "no reason: {row:?}");
        for material in materials.split(", ") {
            for file in files.split(", ") {
                cells.extend(
                    readers.split(", ").map(|reader| (material.to_owned(), file.to_owned(), reader.to_owned())),
                );
            }
        }
    }
    cells
}
