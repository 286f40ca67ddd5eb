//! Any selection of certificates of one hierarchy, in any order, some of them altered: the output is a
//! selection of the input, leaf first, without root and duplicates, and is its own order again.

#![no_main]

use arbitrary::Arbitrary;
use certcourier_bundle::{Format, Material, RenderOptions};
use certcourier_fuzz::{parse, render_one};
use libfuzzer_sys::fuzz_target;

macro_rules! chain {
    ($($name:literal),*) => {
        [$(include_str!(concat!("../../crates/bundle/tests/fixtures/chain/", $name, ".pem"))),*]
    };
}

const CERTIFICATES: [&str; 7] = chain!["leaf", "lower", "middle", "upper", "upper-by-other-root", "root", "other-root"];
const ROOTS: [usize; 2] = [5, 6];

#[derive(Arbitrary, Debug)]
struct Input {
    order: Vec<u8>,
    /// Place of a character and what to put there, in every certificate of this number.
    change: Option<(u8, u16, u8)>,
}

fuzz_target!(|input: Input| {
    let mut files: Vec<String> = CERTIFICATES.iter().map(|pem| (*pem).to_owned()).collect();
    if let Some((which, place, character)) = input.change {
        alter(&mut files[usize::from(which) % CERTIFICATES.len()], usize::from(place), character);
    }
    let order: Vec<usize> = input.order.iter().take(17).map(|index| usize::from(*index) % files.len()).collect();
    let text: String = order.iter().map(|index| files[*index].as_str()).collect();
    let material = match parse(text.as_bytes(), None, Some(text.as_bytes())) {
        Ok(material) => material,
        Err(_) => {
            // Only a changed certificate, none or too many can be refused.
            assert!(input.change.is_some() || order.is_empty() || order.len() > 16);
            return;
        }
    };
    let blocks = whole(&material);
    if input.change.is_some() {
        return;
    }
    let mut supplied: Vec<usize> = order.clone();
    supplied.sort_unstable();
    supplied.dedup();
    let without_roots: Vec<usize> = supplied.iter().copied().filter(|index| !ROOTS.contains(index)).collect();
    let Some(blocks) = blocks else {
        // A gap: somebody between the leaf and the others is not there, or two have no common child.
        return;
    };
    let found: Vec<usize> = blocks
        .iter()
        .map(|block| CERTIFICATES.iter().position(|pem| pem == block).expect("one of those supplied"))
        .collect();
    let mut sorted = found.clone();
    sorted.sort_unstable();
    match without_roots.is_empty() {
        false => assert_eq!(sorted, without_roots, "{found:?} of {order:?}"),
        true => assert_eq!(found.len(), 1, "{found:?} of {order:?}"),
    }
    if without_roots.contains(&0) {
        assert_eq!(found[0], 0, "the leaf comes first");
    }
    // The two certificates of `upper` keep their order, the others are in that of the hierarchy.
    let rank = |index: usize| if index == 4 { 3 } else { index };
    assert!(found.is_sorted_by_key(|index| rank(*index)), "{found:?} of {order:?}");
    let first = |index| order.iter().position(|supplied| *supplied == index);
    if let (Some(one), Some(other)) = (first(3), first(4)) {
        let place = |index| found.iter().position(|found| *found == index);
        assert_eq!(one < other, place(3) < place(4), "{found:?} of {order:?}");
    }
});

fn alter(pem: &mut String, place: usize, character: u8) {
    let mut bytes = std::mem::take(pem).into_bytes();
    let place = place % bytes.len();
    bytes[place] = character & 0x7f;
    *pem = String::from_utf8_lossy(&bytes).into_owned();
}

/// The blocks of the full chain, if it is whole; and the full chain of the full chain is the same.
fn whole(material: &Material) -> Option<Vec<String>> {
    let options = RenderOptions::new("api");
    let Ok(chain) = render_one(Format::Fullchain, material, &options) else {
        let error = material.chain_error().expect("refused for the chain only");
        assert!(!error.to_string().is_empty());
        assert!(render_one(Format::Cert, material, &options).is_ok());
        return None;
    };
    assert!(material.chain_error().is_none());
    let again = parse(&chain.bytes, None, None).unwrap_or_else(|error| panic!("{error}"));
    let twice = render_one(Format::Fullchain, &again, &options).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(*twice.bytes, *chain.bytes);
    let text = std::str::from_utf8(&chain.bytes).expect("PEM");
    let blocks: Vec<String> = text.split_inclusive("-----END CERTIFICATE-----\n").map(str::to_owned).collect();
    assert_eq!(blocks.len(), material.chain_length() + 1);
    Some(blocks)
}
