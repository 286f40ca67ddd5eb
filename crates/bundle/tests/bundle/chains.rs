//! Chains: ordered, without root and duplicates, refused when they do not link.

use certcourier_bundle::{Format, Material, RenderError};
use rcgen::{DnType, DnValue, GeneralSubtree, KeyPair, NameConstraints};

use crate::pki::{
    Hierarchy, Signer, accepted, authority_params, fixture, leaf_params, options, parse, render_with, rendered_text,
};

fn material(pems: &[&str]) -> Material {
    accepted(parse(&pems.concat(), None, None))
}

/// The chain as subjects would be tedious to compare: PEM it is.
#[track_caller]
fn assert_chain(supplied: &[&Signer], expected: &[&Signer]) {
    let pems: Vec<&str> = supplied.iter().map(|signer| signer.pem.as_str()).collect();
    let material = material(&pems);
    assert_eq!(material.chain_error(), None);
    assert_eq!(material.chain_length(), expected.len() - 1);
    let expected: Vec<String> = expected.iter().map(|signer| unix(&signer.pem)).collect();
    assert_eq!(rendered_text(Format::Fullchain, &material), expected.concat());
    assert_eq!(rendered_text(Format::Cert, &material), expected[0]);
    if expected.len() > 1 {
        assert_eq!(rendered_text(Format::Chain, &material), expected[1..].concat());
    }
}

/// rcgen writes Windows line ends on Windows.
fn unix(pem: &str) -> String {
    pem.replace("\r\n", "\n")
}

#[track_caller]
fn assert_broken(supplied: &[&Signer], subject: &str, number: usize, missing_issuer: &str) {
    let pems: Vec<&str> = supplied.iter().map(|signer| signer.pem.as_str()).collect();
    let key = supplied[0].key.serialize_pem();
    let material = accepted(parse(&pems.concat(), Some(&key), Some(pems[0])));
    let error = material.chain_error().cloned().expect("a broken chain");
    assert_eq!(
        (error.subject.as_str(), error.number, error.missing_issuer.as_str()),
        (subject, number, missing_issuer)
    );
    for format in [Format::Fullchain, Format::Chain, Format::Combined, Format::Pkcs12, Format::Zip] {
        match render_with(format, &material, &options()) {
            Err(RenderError::BrokenChain(named)) => assert_eq!(named, error, "{format}"),
            other => panic!("{format}: {other:?}"),
        }
    }
    for format in [Format::Cert, Format::Der, Format::DerZip, Format::Key, Format::Ca] {
        assert!(render_with(format, &material, &options()).is_ok(), "{format}");
    }
}

#[test]
fn any_order_becomes_leaf_first() {
    let h = Hierarchy::new();
    let expected = [&h.leaf, &h.lower, &h.middle, &h.upper];
    assert_chain(&expected, &expected);
    assert_chain(&[&h.upper, &h.middle, &h.lower, &h.leaf], &expected);
    assert_chain(&[&h.middle, &h.leaf, &h.upper, &h.lower], &expected);
    assert_chain(&[&h.root, &h.lower, &h.leaf, &h.middle, &h.upper], &expected);
}

#[test]
fn the_root_and_duplicates_are_left_out() {
    let h = Hierarchy::new();
    assert_chain(
        &[&h.leaf, &h.leaf, &h.lower, &h.middle, &h.lower, &h.upper, &h.root, &h.root],
        &[&h.leaf, &h.lower, &h.middle, &h.upper],
    );
    assert_chain(&[&h.leaf, &h.lower, &h.middle], &[&h.leaf, &h.lower, &h.middle]);
}

#[test]
fn a_leaf_signed_by_its_root_has_an_empty_chain() {
    let root = Signer::root("Root");
    let leaf = root.leaf("leaf");
    assert_chain(&[&leaf], &[&leaf]);
    assert_chain(&[&root, &leaf], &[&leaf]);
    let material = material(&[&leaf.pem, &root.pem]);
    assert!(matches!(render_with(Format::Chain, &material, &options()), Err(RenderError::EmptyChain)));
}

#[test]
fn a_self_signed_certificate_is_its_own_leaf() {
    let root = Signer::root("Self");
    assert_chain(&[&root], &[&root]);
}

#[test]
fn an_authority_can_be_the_leaf() {
    let h = Hierarchy::new();
    assert_chain(&[&h.upper, &h.lower, &h.middle], &[&h.lower, &h.middle, &h.upper]);
    assert_chain(&[&h.root, &h.upper], &[&h.upper]);
}

#[test]
fn a_chain_with_a_gap_is_refused_by_the_subject_that_does_not_link() {
    let h = Hierarchy::new();
    let stranger = Signer::root("Other root").intermediate("Stranger");
    assert_broken(&[&h.leaf, &h.middle, &h.upper], "CN=Middle", 2, "CN=Lower");
    assert_broken(&[&h.leaf, &h.lower, &h.upper], "CN=Upper", 3, "CN=Middle");
    assert_broken(&[&h.leaf, &stranger, &h.lower], "CN=Stranger", 2, "CN=Middle");
    assert_broken(&[&h.leaf, &h.root], "CN=Root", 2, "CN=Lower");
}

#[test]
fn two_leaves_are_not_a_chain() {
    let root = Signer::root("Root");
    let (one, two) = (root.leaf("one"), root.leaf("two"));
    assert_broken(&[&one, &two], "CN=two", 2, "CN=Root");
}

#[test]
fn an_issuer_of_the_right_name_with_another_key_does_not_link() {
    let root = Signer::root("Root");
    let (real, fake) = (root.intermediate("Issuing"), root.intermediate("Issuing"));
    let leaf = real.leaf("leaf");
    assert_broken(&[&leaf, &fake], "CN=Issuing", 2, "CN=Issuing");
    assert_chain(&[&leaf, &real], &[&leaf, &real]);
}

#[test]
fn a_cross_signed_chain_keeps_the_path_that_was_supplied() {
    // As Let's Encrypt: leaf ← R3 ← X1, where X1 is a root of its own and signed by the older X3.
    let x3 = Signer::root("DST Root CA X3");
    let x1 = Signer::root("ISRG Root X1");
    let x1_cross = x1.cross_signed_by(&x3);
    let r3 = x1.intermediate("R3");
    let leaf = r3.leaf("leaf");
    let long = [&leaf, &r3, &x1_cross];
    assert_chain(&long, &long);
    assert_chain(&[&leaf, &r3], &[&leaf, &r3]);
    assert_chain(&[&leaf, &r3, &x1_cross, &x3], &long);
    assert_chain(&[&leaf, &r3, &x1_cross, &x1], &long);
    assert_chain(&[&x1_cross, &leaf, &r3], &long);
    assert_chain(&[&leaf, &r3, &x1], &[&leaf, &r3]);
}

#[test]
fn both_certificates_of_a_cross_signed_intermediate_stay_in_the_supplied_order() {
    let (old, new) = (Signer::root("Old"), Signer::root("New"));
    let by_new = new.intermediate("Issuing");
    let bridge = old.intermediate("Bridge");
    let by_bridge = by_new.cross_signed_by(&bridge);
    let leaf = by_new.leaf("leaf");
    for supplied in [
        [&leaf, &by_new, &by_bridge, &bridge],
        [&leaf, &by_bridge, &by_new, &bridge],
        [&leaf, &by_bridge, &bridge, &by_new],
    ] {
        assert_chain(&supplied, &supplied);
    }
}

#[test]
fn authorities_that_signed_each_other_end_somewhere() {
    let (one, two) = (Signer::root("One"), Signer::root("Two"));
    let (one_by_two, two_by_one) = (one.cross_signed_by(&two), two.cross_signed_by(&one));
    let leaf = one.leaf("leaf");
    assert_chain(&[&leaf, &one_by_two, &two_by_one], &[&leaf, &one_by_two, &two_by_one]);
    // No certificate that signed none: the first one is taken.
    assert_chain(&[&one_by_two, &two_by_one], &[&one_by_two, &two_by_one]);
}

#[test]
fn a_new_key_under_the_old_name_signed_by_the_old_one_is_no_root() {
    let old = Signer::root("Root");
    let rollover = old.sign(authority_params("Root"));
    let leaf = rollover.leaf("leaf");
    assert_chain(&[&leaf, &rollover, &old], &[&leaf, &rollover]);
}

#[test]
fn the_same_name_in_another_encoding_links() {
    let mut params = authority_params("Issuing");
    params
        .distinguished_name
        .push(DnType::OrganizationName, DnValue::PrintableString("Example  Ltd".try_into().expect("printable")));
    let root = Signer::root("Root");
    let issuing = root.sign(params.clone());
    // The issuer's name as its own software spells it: UTF-8, other case, one space.
    let mut spelled = authority_params("ISSUING");
    spelled.distinguished_name.push(DnType::OrganizationName, "example ltd");
    let other_spelling = Signer {
        params: spelled,
        key: KeyPair::from_pem(&issuing.key.serialize_pem()).expect("the same key"),
        pem: String::new(),
    };
    let leaf = other_spelling.sign(leaf_params("leaf"));
    assert_chain(&[&leaf, &issuing], &[&leaf, &issuing]);
}

#[test]
fn name_constraints_are_not_judged() {
    let mut params = authority_params("Constrained");
    params.name_constraints = Some(NameConstraints {
        permitted_subtrees: vec![GeneralSubtree::DnsName("example.org".to_owned())],
        excluded_subtrees: vec![GeneralSubtree::DnsName("example.com".to_owned())],
    });
    let constrained = Signer::root("Root").sign(params);
    let leaf = constrained.leaf("leaf.example.com");
    assert_chain(&[&leaf, &constrained], &[&leaf, &constrained]);
}

#[test]
fn a_signature_that_cannot_be_checked_is_judged_by_name_and_key_identifier() {
    let [issuer, other, leaf, bare] =
        ["unchecked-issuer", "unchecked-issuer-other", "unchecked-leaf", "unchecked-leaf-without-identifier"]
            .map(|name| fixture(&format!("chain/{name}.pem")));
    for (leaf, issuer, links) in
        [(&leaf, &issuer, true), (&leaf, &other, false), (&bare, &issuer, true), (&bare, &other, true)]
    {
        let material = material(&[leaf, issuer]);
        assert_eq!(material.chain_error().is_none(), links);
        assert_eq!(material.chain_length(), usize::from(links));
    }
    let self_signed = fixture("certificates/ed448.pem");
    assert_eq!(rendered_text(Format::Fullchain, &material(&[&self_signed])), self_signed);
}

#[test]
fn the_leaf_is_found_behind_authorities_that_do_not_belong() {
    let h = Hierarchy::new();
    let stranger = Signer::root("Stranger");
    for (supplied, leaf) in [
        ([&stranger, &h.leaf], "CN=leaf.example.com"),
        ([&h.upper, &h.leaf], "CN=leaf.example.com"),
        ([&stranger, &h.upper], "CN=Upper"),
    ] {
        let material = material(&supplied.map(|signer| signer.pem.as_str()));
        assert_eq!(material.leaf().subject, leaf);
        let error = material.chain_error().expect("a broken chain");
        assert_eq!((error.subject.as_str(), error.number), (&*format!("CN={}", common_name(supplied[0])), 1));
    }
}

fn common_name(signer: &Signer) -> String {
    match signer.params.distinguished_name.get(&DnType::CommonName) {
        Some(DnValue::Utf8String(name)) => name.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn intermediates_are_described_in_the_order_of_the_chain() {
    let h = Hierarchy::new();
    let material = material(&[&*h.upper.pem, &h.leaf.pem, &h.lower.pem, &h.middle.pem]);
    let subjects: Vec<&str> = material.intermediates().map(|facts| facts.subject.as_str()).collect();
    assert_eq!(subjects, ["CN=Lower", "CN=Middle", "CN=Upper"]);
}
